# SPDX-License-Identifier: MIT
# The guest tools, programs of a Linux guest: the agent, the hint command and library.

TOOLS := $(B)/guest-tools
TOOLS_OBJ := $(TOOLS)/obj
AGENT_C := $(sort $(wildcard guest-tools/agent/*.c))
HINT_C := guest-tools/hint/libternhint.c
HINTCMD_C := guest-tools/hint/tern_hint.c guest-tools/hint/duration.c
# What the agent and the command share with the hypervisor: one parser of tern.toml's language.
TOOLS_LIB_C := hv/lib/toml.c hv/lib/str.c hv/lib/fmt.c

TOOLS_CFLAGS := -std=gnu11 -O2 -g -fPIC -fvisibility=hidden -fstack-protector-strong \
	-D_FORTIFY_SOURCE=2 -fno-strict-aliasing -fwrapv -ffunction-sections -fdata-sections \
	-ffile-prefix-map=$(CURDIR)=. $(WARN) -DTERN_DEBUG=$(DEBUG) -Iinclude -I.
TOOLS_LDFLAGS := -pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack -Wl,--gc-sections -Wl,--as-needed \
	-Wl,--build-id=none

tools_obj = $(patsubst %.c,$(TOOLS_OBJ)/%.o,$(1))
AGENT_OBJ := $(call tools_obj,$(AGENT_C) guest-tools/hint/duration.c $(TOOLS_LIB_C)) $(TOOLS_OBJ)/version.o
HINTCMD_OBJ := $(call tools_obj,$(HINTCMD_C) hv/lib/str.c) $(TOOLS_OBJ)/version.o

$(TOOLS_OBJ)/%.o: %.c | $(SETUP)
	@mkdir -p $(@D)
	@echo "  TOOLCC  $<"
	@$(CC) $(TOOLS_CFLAGS) $(if $(filter hv/%,$<),-ffreestanding) -MMD -MP -c $< -o $@

$(TOOLS_OBJ)/version.o: $(B)/version.txt
	@mkdir -p $(@D)
	@printf 'extern const char tern_version[];\nconst char tern_version[] = "%s";\n' "$$(cat $<)" > $(@:.o=.c)
	@$(CC) $(TOOLS_CFLAGS) -c $(@:.o=.c) -o $@

$(TOOLS)/tern-agent: $(AGENT_OBJ)
	@echo "  LD      $@"
	@$(CC) $(TOOLS_LDFLAGS) $(AGENT_OBJ) -lm -o $@

$(TOOLS)/libternhint.so.0: $(call tools_obj,$(HINT_C)) guest-tools/hint/libternhint.map
	@echo "  LD      $@"
	@$(CC) -shared -Wl,-soname,libternhint.so.0 -Wl,--version-script=guest-tools/hint/libternhint.map \
		-Wl,-z,relro,-z,now -Wl,-z,noexecstack -Wl,--build-id=none $(filter %.o,$^) -o $@

$(TOOLS)/libternhint.a: $(call tools_obj,$(HINT_C))
	@echo "  AR      $@"
	@rm -f $@
	@ar rcD $@ $^

# The command has the library in it, so that it works wherever it is copied to.
$(TOOLS)/tern-hint: $(HINTCMD_OBJ) $(TOOLS)/libternhint.a
	@echo "  LD      $@"
	@$(CC) $(TOOLS_LDFLAGS) $^ -o $@

TOOLS_OUT := $(addprefix $(TOOLS)/,tern-agent tern-hint libternhint.so.0 libternhint.a)

tools: $(TOOLS_OUT) ## the agent, the hint command and library for Linux guests

# The forecasts over traces, on the host.
REPLAY_C := $(sort $(wildcard tests/bench/replay/*.c)) guest-tools/agent/forecast.c \
	guest-tools/agent/histogram.c guest-tools/agent/profile.c \
	$(sort $(wildcard guest-tools/agent/predict_*.c)) hv/lib/str.c
TRACES := $(sort $(wildcard tests/bench/replay/*.trace))
REPLAY_SEEDS ?= 10

$(TOOLS)/replay: $(call tools_obj,$(REPLAY_C))
	@echo "  LD      $@"
	@$(CC) $(TOOLS_LDFLAGS) $^ -lm -o $@

bench-replay: $(TOOLS)/replay ## forecasts over traces beside Kubernetes VPA: slack, shortfalls, changes (REPLAY_SEEDS=10)
	@$< --seeds $(REPLAY_SEEDS) $(TRACES)

-include $(patsubst %.o,%.d,$(AGENT_OBJ) $(HINTCMD_OBJ) $(call tools_obj,$(HINT_C) $(REPLAY_C)))

.PHONY: tools bench-replay
