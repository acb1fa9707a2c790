# SPDX-License-Identifier: MIT
# nm -n output to the table that arch/x86_64/backtrace.c searches: sorted offsets from image_start,
# offsets into the names, and the names. Functions only.
BEGIN { n = 0 }
$2 ~ /^[tT]$/ && $3 !~ /^(__|\.L)/ { addr[n] = $1; name[n] = $3; n++ }
END {
	print "\t.section .symbols,\"a\",@progbits"
	print "\t.balign 8"
	print "\t.globl symbols_count\nsymbols_count:\n\t.long " n
	print "\t.globl symbols_addr\nsymbols_addr:"
	for (i = 0; i < n; i++) print "\t.long 0x" substr(addr[i], 9)
	print "\t.globl symbols_name\nsymbols_name:"
	off = 0
	for (i = 0; i < n; i++) { print "\t.long " off; off += length(name[i]) + 1 }
	print "\t.globl symbols_text\nsymbols_text:"
	for (i = 0; i < n; i++) print "\t.asciz \"" name[i] "\""
	print "\t.byte 0"
	print "\t.section .note.GNU-stack,\"\",@progbits"
}
