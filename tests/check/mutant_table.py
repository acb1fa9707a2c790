# SPDX-License-Identifier: MIT
"""Faults that a unit test must find: rows of (what is wrong, file, text, what it becomes, tests).

The text stands in the file exactly once. Each of the tests must fail with the fault.
"""
GMEM = "hv/mem/gmem.c"
NPT = "arch/x86_64/npt.c"
SCRUB = "hv/mem/scrub.c"
SCHED = "hv/sched/sched.c"
TLB = "arch/x86_64/vmx/vmx_tlb.c"
TLB_H = "arch/x86_64/vmx/vmx_tlb.h"
TIME = "hv/vm/vm_time.c"
CLOCK = "arch/x86_64/guest/pvclock.c"
AGENT = "hv/vm/agent.c"
GRANT = "hv/vm/agent_grant.c"
RULE = "hv/mem/gmem_grant.c"

NETDEV = "hv/net/netdev.c"
E1000 = "drivers/net/e1000.c"
VIRTIO_NIC = "drivers/net/virtio_net.c"
UPLINK = "hv/net/uplink.c"

FLUSH_THEN_GIVE = """		if (l.flush || l.tables.v != 0)
			g->flush(g->owner);
		give_leaves(&l);
"""
INVEPT = """	vmcs_invept(v->vm->ept_pointer);
	__atomic_store_n(v->seen, generation, __ATOMIC_RELEASE);
"""
ENTER = "	__atomic_store_n(v->in_guest, v->vm, __ATOMIC_SEQ_CST);\n"
CHECK = """	if (UNLIKELY(__atomic_load_n(v->seen, __ATOMIC_RELAXED) !=
		     __atomic_load_n(&v->vm->flush_generation, __ATOMIC_SEQ_CST)))
		vmx_tlb_forget(v);
"""
BUMP = "	generation = __atomic_add_fetch(&x->flush_generation, 1, __ATOMIC_SEQ_CST);\n"
KICKS = """	for (u32 i = 0; i < pcpu_count(); i++)
		if (i != self && __atomic_load_n(&cpus[i].in_guest, __ATOMIC_SEQ_CST) == x)
			arch_kick(pcpu_get(i));
"""
WAITS = """		while (i != self && __atomic_load_n(&cpus[i].in_guest, __ATOMIC_ACQUIRE) == x &&
		       __atomic_load_n(&x->seen[i], __ATOMIC_ACQUIRE) < generation)
			arch_relax();
"""

MUTANTS = (
    # --- guest memory: entry, flush, and only then the frame ---
    ("gmem_unback() does not flush", GMEM, FLUSH_THEN_GIVE,
     "		give_leaves(&l);\n", ("gmem_test",)),
    ("frames are given away before the flush", GMEM, FLUSH_THEN_GIVE,
     "		give_leaves(&l);\n		if (l.flush || l.tables.v != 0)\n"
     "			g->flush(g->owner);\n", ("gmem_test",)),
    ("an unlinked table alone is no reason to flush", GMEM, "if (l.flush || l.tables.v != 0)",
     "if (l.flush)", ("gmem_test",)),
    ("leaves alone are no reason to flush", GMEM, "if (l.flush || l.tables.v != 0)",
     "if (l.tables.v != 0)", ("gmem_test",)),
    ("only the last leaf says whether to flush", GMEM, "l->flush |= npt_set(",
     "l->flush = npt_set(", ("gmem_test",)),
    ("the flush is made with the lock held", GMEM, """		lock_release(&g->lock, token);
		if (l.flush""", """		if (l.flush || l.tables.v != 0)
			g->flush(g->owner);
		lock_release(&g->lock, token);
		if (l.flush""", ("gmem_test",)),
    ("a dying VM is not flushed", GMEM,
     "	/* CPUs that ran the VM remember translations by its root, which another VM may get. */\n"
     "	g->flush(g->owner);\n", "", ("gmem_test",)),
    ("a dying VM can still get memory", GMEM, """	g->region_count = 0;
	memset(g->regions, 0, sizeof(g->regions));
""", "", ("gmem_test",)),
    ("memory is taken back from a VM that is going", GMEM, """		if (g->dying) {
			lock_release(&g->lock, token);
			break;
		}
""", "", ("gmem_test",)),
    ("a part of a 2 MiB block is taken without splitting it", GMEM, "	frame_split(e->pa);\n", "",
     ("gmem_test",)),
    ("what cannot be split is not zeroed", GMEM,
     "			memset((char *)phys_to_virt(e.pa) + (at->v - base.v), 0, stop - at->v);\n",
     "", ("gmem_test",)),
    ("a frame goes to the allocator, not to the scrubber", GMEM,
     "scrub_put(hpa(l->blocks[i] & NPT_ADDR), (u32)(l->blocks[i] & ~NPT_ADDR));",
     "frame_put(hpa(l->blocks[i] & NPT_ADDR));", ("gmem_test",)),
    ("no table for a frame: the frame is lost", GMEM, """			frame_put_zeroed(pa);
			return GMEM_NO_FRAME;""", "			return GMEM_NO_FRAME;", ("gmem_test",)),
    ("no table for a large frame: it is lost", GMEM, """		frame_put(pa);
		return false;
	}
	npt_fill(npt_find""", """		return false;
	}
	npt_fill(npt_find""", ("gmem_test",)),
    # --- page tables ---
    ("npt_set() never asks for a flush", NPT,
     "	return npt_is_mapped(old) && ((old ^ e) & ~harvest) != 0;\n",
     "	(void)harvest;\n	return false;\n", ("npt_test", "gmem_test")),
    ("npt_set() does not say that a table went", NPT,
     "		chain_table(npt, hpa(old & NPT_ADDR), unlinked);\n		return true;\n",
     "		chain_table(npt, hpa(old & NPT_ADDR), unlinked);\n		return false;\n",
     ("npt_test",)),
    ("an empty table is freed at once, not chained", NPT,
     "		__atomic_store_n(path[level + 1], 0, __ATOMIC_RELEASE);\n"
     "		chain_table(npt, table, unlinked);\n",
     "		__atomic_store_n(path[level + 1], 0, __ATOMIC_RELEASE);\n"
     "		(void)unlinked;\n		npt->table_pages--;\n		frame_put(table);\n",
     ("gmem_test",)),
    ("a table that is not empty is pruned", NPT,
     "		if (!table_empty(table_virt(table)))\n			return;\n", "", ("npt_test", "gmem_test")),
    ("a table that cannot be linked is lost", NPT, "		while (n > 0)\n			frames_free_page(tables[--n]);\n",
     "", ("npt_test", "gmem_test")),
    # --- TLBs ---
    ("no INVEPT", TLB, INVEPT, INVEPT.split("\n", 1)[1],
     ("vmx_tlb_test", "vmx_tlb_steps_test")),
    ("an INVEPT for each entry", TLB, INVEPT,
     INVEPT.splitlines(True)[0] + "	(void)generation;\n", ("vmx_tlb_test",)),
    ("a CPU says that it has invalidated before it does", TLB, INVEPT,
     "".join(reversed(INVEPT.splitlines(True))), ("vmx_tlb_steps_test",)),
    ("a flush is not counted", TLB, BUMP, "	generation = x->flush_generation;\n",
     ("vmx_tlb_test", "vmx_tlb_steps_test")),
    ("nobody is kicked", TLB, KICKS, "", ("vmx_tlb_test", "vmx_tlb_steps_test")),
    ("CPUs are looked at before the flush is counted", TLB, BUMP + KICKS, KICKS + BUMP,
     ("vmx_tlb_steps_test",)),
    ("all CPUs in any guest are kicked", TLB, "__ATOMIC_SEQ_CST) == x)\n			arch_kick",
     "__ATOMIC_SEQ_CST) != NULL)\n			arch_kick", ("vmx_tlb_test",)),
    ("nobody waits for a CPU that was kicked", TLB, WAITS, "			(void)generation;\n",
     ("vmx_tlb_test", "vmx_tlb_steps_test")),
    ("it waits for the flush before its own only", TLB, "__ATOMIC_ACQUIRE) < generation)",
     "__ATOMIC_ACQUIRE) + 1 < generation)", ("vmx_tlb_test", "vmx_tlb_steps_test")),
    ("it waits only for a CPU that is in the guest and up to date", TLB, "__ATOMIC_ACQUIRE) < generation)",
     "__ATOMIC_ACQUIRE) > generation)", ("vmx_tlb_test", "vmx_tlb_steps_test")),
    ("a new VM takes its root for fresh", TLB, "	x->flush_generation = 1;", "	x->flush_generation = 0;",
     ("vmx_tlb_test",)),
    ("no INVVPID on another CPU", TLB, "	vmx_flush_linear(v);\n	v->cpu = cpu;", "	v->cpu = cpu;",
     ("vmx_tlb_test",)),
    ("INVVPID of 0", TLB, "	if (v->vpid != 0)\n		vmcs_invvpid", "	vmcs_invvpid", ("vmx_tlb_test",)),
    ("a vCPU that comes back is taken for one that stayed", TLB, "	if (v->cpu == cpu)\n",
     "	if (v->cpu != CPUS_MAX)\n", ("vmx_tlb_test",)),
    ("a VPID is used again without INVVPID", TLB, "	v->cpu = CPUS_MAX;",
     "	v->cpu = 0;\n	v->in_guest = &cpus[0].in_guest;\n	v->seen = &v->vm->seen[0];",
     ("vmx_tlb_test",)),
    ("VPIDs are given out twice", TLB, "__atomic_fetch_or(&vpids[i / 64], bit, __ATOMIC_ACQ_REL)",
     "__atomic_load_n(&vpids[i / 64], __ATOMIC_ACQUIRE)", ("vmx_tlb_test",)),
    ("VPIDs never come back", TLB, "__atomic_fetch_and(&vpids[v->vpid / 64], ~(1ul << v->vpid % 64), "
     "__ATOMIC_ACQ_REL);", "return;", ("vmx_tlb_test",)),
    ("an entry is not looked at for a flush", TLB_H, CHECK, "", ("vmx_tlb_test", "vmx_tlb_steps_test")),
    ("a CPU looks for a flush before it says that it enters", TLB_H, ENTER + CHECK, CHECK + ENTER,
     ("vmx_tlb_steps_test",)),
    ("the store that says so is not locked", TLB_H, ENTER, ENTER.replace("SEQ_CST", "RELEASE"),
     ("vmx_tlb_steps_test",)),
    # --- what leads from a guest to the allocator ---
    ("frames are handed out unscrubbed", SCRUB,
     "			arch_zero_page((char *)l + i * PAGE_SIZE);\n", "			(void)i;\n", ("scrub_test",)),
    ("only the first page of a block is scrubbed", SCRUB, "i < frames; i++", "i < 1; i++",
     ("scrub_test",)),
    ("a frame that waits to be scrubbed is lost", SCRUB, "	queue = l;\n	backlog_add",
     "	backlog_add", ("scrub_test",)),
    # --- run queues. What only a race shows is left out: a fault must be seen every time. ---
    ("a wake while it runs is forgotten", SCHED, "	requeue |= s->wake;\n", "", ("sched_test",)),
    ("a vCPU is paused but stays in its queue", SCHED,
     "	if (vc->sched.queued)\n		remove(q, vc, arch_tsc());\n", "", ("sched_test", "sched_threads_test")),
    ("a vCPU that leaves a queue leaves its weight there", SCHED,
     "	set_load(q, q->load - vc->sched.weight);\n", "", ("sched_threads_test",)),
    ("a turn that ends leaves its weight there", SCHED, "	set_load(q, q->load - s->weight);\n", "",
     ("sched_threads_test",)),
    # --- time: it stands still in a pause, and never goes back ---
    ("time stands still though a vCPU runs on", TIME, "	if (all_at_rest(vm))\n", "	(void)all_at_rest(vm);\n", ("vm_test",)),
    ("time goes back by what a vCPU ran after the pause", TIME,
     "		vm_time_stop(vm);\n		timer_cancel", "		timer_cancel", ("vm_test",)),
    ("devices are not told that time goes on", "hv/dev/dev.c", "		tell_resumed(bus);\n", "		;\n",
     ("vm_test",)),
    ("a LAPIC's timer does not know of a pause", CLOCK, "		vlapic_time_moved(vc, moved);\n", "		;\n",
     ("pvclock_test",)),
    ("the clock's page is not written again when the TSC moved", "arch/x86_64/guest/msr.c",
     "	guest_pvclock_written(a->vc, MSR_KVM_SYSTEM_TIME_NEW);\n", "", ("pvclock_test",)),
    ("a page of the clock is not odd while it is written", CLOCK, "arch->pv_version | 1;", "arch->pv_version + 2;",
     ("pvclock_test",)),
    ("the clock's rate is rounded down", CLOCK, "mul++;", ";", ("pvclock_test",)),
    # --- the agent and its grant ---
    ("a message can be replayed", AGENT, "head.seq <= a->seq_in", "head.seq < a->seq_in", ("agent_test",)),
    ("an event can be acknowledged twice", AGENT, "	*sent_event(vm->agent, m.event) = 0;\n",
     "	(void)sent_event(vm->agent, m.event);\n", ("agent_test",)),
    ("the line stays up when nothing waits", AGENT, "	w->order = 0;\n	a->sent[a->sent_next++ % AGENT_EVENTS_MAX] = agent_seq(vm);\n	tell(vm);\n",
     "	w->order = 0;\n	a->sent[a->sent_next++ % AGENT_EVENTS_MAX] = agent_seq(vm);\n", ("agent_test",)),
    ("who was the agent before may go on", AGENT, "	if (a->way != way)\n		return AGENT_REFUSED_NOBODY;\n", "	(void)way;\n",
     ("agent_test",)),
    ("a silent agent's forecast counts on", GRANT, "	a->demand.bytes = 0;\n", "", ("agent_grant_test",)),
    ("an ACK ends a shrink whatever came back", GRANT, "st.backed_ram <= s->to ||", "s->asked > 0 ||", ("agent_grant_test",)),
    ("a forecast overrides the owner", GRANT, "next = grows ? automatic(vm, &st) : a->owner_grant;",
     "next = automatic(vm, &st);", ("agent_grant_test",)),
    ("a touch raises the owner's grant", GMEM, "	if (g->grant_grows) {", "	if (true) {", ("agent_grant_test",)),
    ("grants eat the reserve", RULE, "room->free > reserve ? align_down(room->free - reserve, PAGE_SIZE) : 0",
     "align_down(room->free, PAGE_SIZE)", ("gmem_grant_test", "agent_grant_test")),
    ("a grant falls below what is backed though memory is spare", RULE, "max_u64(wanted, align_up(use->backed, PAGE_2M_SIZE))",
     "wanted", ("gmem_grant_test", "agent_grant_test")),
    # --- NICs: nothing that they say is believed, and nothing that they hold is lost ---
    ("a NIC's length is believed", E1000, "len == 0 || len > e->rx_size", "len == 0",
     ("e1000_test",)),
    ("a NIC says where its buffer is", E1000,
     ".data = e->own->rx[e->rx_next]", ".data = phys_to_virt(hpa(d->addr % MiB(64)))",
     ("e1000_test",)),
    ("a buffer that the NIC never had is taken", VIRTIO_NIC,
     "head >= RING || !n->rx_posted[head]", "head >= RING", ("virtio_nic_test",)),
    ("a NIC that hangs is left alone", NETDEV,
     "__atomic_exchange_n(&nd->reset_wanted, false, __ATOMIC_ACQ_REL) || hangs(nd, now)",
     "__atomic_exchange_n(&nd->reset_wanted, false, __ATOMIC_ACQ_REL)",
     ("e1000_test", "virtio_nic_test", "netdev_test")),
    ("a reset forgets frames that wait", NETDEV, "	give_back(nd, unsent, -TERN_EIO);\n", "",
     ("e1000_test", "virtio_nic_test")),
    ("the uplink forgets a packet that the ring has no room for", UPLINK, "			up.waits = p;\n",
     "", ("uplink_test",)),
)
