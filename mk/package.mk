# SPDX-License-Identifier: MIT
# What a guest installs: a Debian package and an image with install.sh. And the kernel module as a guest's
# DKMS would build it.

# What the package is called in dpkg's order of versions; the programs themselves say their commit.
TOOLS_VERSION := 0.1.0
TOOLS_DEB := $(B)/tern-guest-tools_$(TOOLS_VERSION)_amd64.deb
TOOLS_ISO := $(B)/guest-tools.iso
MKPACKAGE := guest-tools/packaging/mkpackage
PACKAGE_SRC := $(MKPACKAGE) $(wildcard guest-tools/packaging/* guest-tools/packaging/debian/* \
	guest-tools/linux/* guest-tools/man/* guest-tools/completion/*) \
	guest-tools/agent/tern-agent.service guest-tools/hint/ternhint.h \
	$(wildcard include/abi/*.h) mk/package.mk LICENSE

$(TOOLS_DEB): $(TOOLS_OUT) $(PACKAGE_SRC) | $(SETUP)
	@echo "  DEB     $@"
	@$(MKPACKAGE) deb $@ --version $(TOOLS_VERSION) --tools $(TOOLS)

$(TOOLS_ISO): $(TOOLS_DEB)
	@echo "  ISO     $@"
	@$(MKPACKAGE) iso $@ --version $(TOOLS_VERSION) --tools $(TOOLS) --deb $<

guest-tools: $(TOOLS_DEB) $(TOOLS_ISO) ## what guests install: a Debian package, and guest-tools.iso with install.sh

$(TOOLS)/tern_dev_stress: guest-tools/tests/tern_dev_stress.c guest-tools/linux/tern_dev.h include/abi/agent.h | $(SETUP)
	@mkdir -p $(@D)
	@echo "  TOOLCC  $@"
	@$(CC) -std=gnu11 -O2 -g $(WARN) -Iinclude -Iguest-tools -static -pthread $< -o $@

check-tools: guest-tools $(TOOLS)/tern_dev_stress ## the module for Debian's kernels, sparse, lintian; install, upgrade, removal in a scratch root
	@$(CHECK)/tools.py --build $(B) --version $(TOOLS_VERSION)

.PHONY: guest-tools check-tools
