/* SPDX-License-Identifier: MIT */
/* Events of a guest: which vectors push an error code, and what an exception inside the delivery of
 * another event becomes. */
#include "guest.h"

#include "msr_regs.h"

enum event_class { CLASS_BENIGN, CLASS_CONTRIBUTORY, CLASS_PAGE_FAULT, CLASS_DOUBLE_FAULT };

/* SDM vol. 3A table 6-4. Interrupts and NMIs are benign whatever their vector. */
static enum event_class event_class(const struct vcpu_event *event)
{
	if (event->type != EVENT_EXCEPTION)
		return CLASS_BENIGN;
	switch (event->vector) {
	case VEC_DE:
	case VEC_TS:
	case VEC_NP:
	case VEC_SS:
	case VEC_GP:
	case VEC_CP:
		return CLASS_CONTRIBUTORY;
	case VEC_PF:
	case VEC_VE:
		return CLASS_PAGE_FAULT;
	case VEC_DF:
		return CLASS_DOUBLE_FAULT;
	default:
		return CLASS_BENIGN;
	}
}

enum event_merge guest_event_merge(const struct vcpu_event *first, struct vcpu_event *second)
{
	enum event_class one = event_class(first), two = event_class(second);

	if (one == CLASS_BENIGN || two == CLASS_BENIGN || two == CLASS_DOUBLE_FAULT)
		return EVENT_DELIVER;
	if (one == CLASS_DOUBLE_FAULT)
		return EVENT_SHUTDOWN;
	if (one == CLASS_CONTRIBUTORY && two == CLASS_PAGE_FAULT)
		return EVENT_DELIVER;
	*second = (struct vcpu_event){
		.type = EVENT_EXCEPTION, .vector = VEC_DF, .has_error = true, .error = 0};
	return EVENT_DOUBLE_FAULT;
}

/* SDM vol. 3A table 6-1. */
bool guest_vector_has_error(u8 vector)
{
	switch (vector) {
	case VEC_DF:
	case VEC_TS:
	case VEC_NP:
	case VEC_SS:
	case VEC_GP:
	case VEC_PF:
	case VEC_AC:
	case VEC_CP:
		return true;
	default:
		return false;
	}
}
