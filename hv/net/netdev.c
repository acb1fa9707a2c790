/* SPDX-License-Identifier: MIT */
/*
 * A NIC between its driver and its owner: sending from any CPU, and the one poller, the boot CPU's thread, that does
 * all else. An interrupt only wakes the poller and stays off until that has found nothing more to do. A NIC without
 * interrupts of its own is looked at by a timer, often while there is traffic and else with the node's own poll.
 */
#include <tern/netdev_driver.h>

#include <tern/arch.h>
#include <tern/err.h>
#include <tern/irq.h>
#include <tern/lib.h>
#include <tern/log.h>
#include <tern/pcpu.h>

#define POLL_CPU     0u
#define BUSY_POLL_US 250u     /* between two looks at a NIC without interrupts that has traffic */
#define BUSY_US      20000u   /* so long after its last frame it still has */
#define LOOK_US      10000u   /* between two looks at the link */
#define COLLECT_US   1000000u /* between two readings of the NIC's own counters */
#define RETRY_US     1000000u /* between two attempts to start a NIC that did not */
#define RESET_US     1000000u /* between two resets, whoever wants them */

static u64 later(u64 now, u64 us)
{
	return now + timer_us_to_tsc(us);
}

void netdev_kick(UNUSED struct netdev *nd)
{
	struct pcpu *pc = pcpu_get(POLL_CPU);
	u32 before = __atomic_fetch_or(&pc->work, PCPU_WORK_NET, __ATOMIC_ACQ_REL);

	if ((before & PCPU_WORK_NET) == 0 && pcpu_self() != pc)
		arch_kick(pc);
}

/* --- what wakes the poller --- */

static void interrupt(void *arg)
{
	struct netdev *nd = arg;

	nd->ops->irq_off(nd);
	netdev_add(nd, NETDEV_INTERRUPTS, 1);
	netdev_kick(nd);
}

static void timer_due(struct timer *t)
{
	netdev_kick(t->arg);
}

static void wake_setup(struct netdev *nd)
{
	u64 addr;
	u32 data;
	int vector, rc;

	nd->vector = 0;
	nd->wakes = "polled";
	nd->timer = (struct timer){.fn = timer_due, .arg = nd, .name = "NIC poll"};
	if (nd->irq == NETDEV_POLLED)
		return;
	vector = irq_alloc(nd->name, interrupt, nd);
	if (vector < 0)
		return;
	irq_msi_message(POLL_CPU, vector, &addr, &data);
	rc = nd->irq == NETDEV_MSIX ? pci_msix_set(nd->pci, 0, addr, data)
				    : pci_msi_set(nd->pci, addr, data);
	if (rc != 0) {
		irq_free(vector);
		return;
	}
	nd->vector = vector;
	nd->wakes = nd->irq == NETDEV_MSIX ? "MSI-X" : "MSI";
}

static void wake_undo(struct netdev *nd)
{
	timer_stop(&nd->timer);
	if (nd->vector == 0)
		return;
	pci_msi_off(nd->pci);
	irq_free(nd->vector);
	nd->vector = 0;
}

/* Sees to the next poll, after one that leaves nothing. True: something has come meanwhile. */
static bool sleep_until_traffic(struct netdev *nd, u64 now)
{
	if (nd->vector != 0)
		return nd->ops->irq_on(nd);
	if (now < nd->busy_until)
		timer_start(&nd->timer, later(now, BUSY_POLL_US));
	return false;
}

/* --- sending --- */

/* What a sender may not get wrong. */
static void check_tx(const struct netdev *nd, const struct netdev_tx *tx)
{
	u32 sum = 0;

	ASSERT(tx->frag_count >= 1 && tx->frag_count <= NETDEV_FRAGS_MAX && tx->done != NULL);
	for (u32 i = 0; i < tx->frag_count; i++) {
		ASSERT(tx->frags[i].len >= 1 && tx->frags[i].len <= PAGE_SIZE);
		sum += tx->frags[i].len;
	}
	ASSERT(sum == tx->len && sum >= NETDEV_HEADER &&
	       sum <= NETDEV_HEADER + NETDEV_TAG + nd->mtu);
	ASSERT(!tx->csum || ((nd->can & NETDEV_CAN_CSUM) != 0 &&
			     tx->csum_start + tx->csum_offset + sizeof(u16) <= tx->frags[0].len &&
			     tx->csum_start + tx->csum_offset <= UINT8_MAX));
}

int netdev_send(struct netdev *nd, struct netdev_tx *tx)
{
	lock_token token = lock_take(&nd->lock);
	bool first = false;
	int rc = -TERN_ENODEV;

	if (nd->open && netdev_link_up(nd)) {
		check_tx(nd, tx);
		rc = nd->ops->send(nd, tx);
		if (rc == 0)
			first = nd->waiting++ == 0;
		if (first)
			nd->progress = arch_tsc();
	}
	lock_release(&nd->lock, token);
	if (first && nd->vector == 0) /* nothing else would tell that it is sent */
		netdev_kick(nd);
	if (rc == -TERN_EAGAIN)
		netdev_add(nd, NETDEV_TX_FULL, 1);
	else if (rc == -TERN_ENODEV)
		netdev_add(nd, NETDEV_TX_DOWN, 1);
	return rc;
}

/* Takes frames from the driver: those that were sent, or after halt() those that were not. Lock held. */
static struct netdev_tx *take_all(struct netdev *nd, struct netdev_tx *(*next)(struct netdev *nd))
{
	struct netdev_tx *first = NULL, **end = &first, *tx;

	while ((tx = next(nd)) != NULL) {
		ASSERT(nd->waiting > 0);
		nd->waiting--;
		tx->next = NULL;
		*end = tx;
		end = &tx->next;
	}
	return first;
}

/* Gives frames back to their senders. */
static void give_back(struct netdev *nd, struct netdev_tx *tx, int status)
{
	while (tx != NULL) {
		struct netdev_tx *next = tx->next; /* done() may send it again, or free it */

		if (status == 0) {
			netdev_add(nd, NETDEV_TX_FRAMES, 1);
			netdev_add(nd, NETDEV_TX_BYTES, tx->len);
		} else {
			netdev_add(nd, NETDEV_TX_FAILED, 1);
		}
		tx->done(tx, status);
		tx = next;
	}
}

/* True: there were some. */
static bool finish_sent(struct netdev *nd)
{
	lock_token token = lock_take(&nd->lock);
	struct netdev_tx *sent = take_all(nd, nd->ops->reap);

	if (sent != NULL || nd->waiting == 0)
		nd->progress = arch_tsc();
	lock_release(&nd->lock, token);
	give_back(nd, sent, 0);
	return sent != NULL;
}

/* --- receiving --- */

static u32 receive(struct netdev *nd)
{
	struct netdev_frame f;
	u32 n;

	for (n = 0; n < NETDEV_POLL_BATCH; n++) {
		enum netdev_next next = nd->ops->receive(nd, &f);

		if (next == NETDEV_NONE)
			break;
		if (next == NETDEV_SKIPPED)
			continue;
		if (f.len < NETDEV_HEADER || f.len > NETDEV_HEADER + NETDEV_TAG + nd->mtu) {
			netdev_add(nd, NETDEV_RX_LENGTH, 1);
		} else {
			netdev_add(nd, NETDEV_RX_FRAMES, 1);
			netdev_add(nd, NETDEV_RX_BYTES, f.len);
			nd->owner.rx(nd->owner.arg, f.data, f.len);
		}
		nd->ops->recycle(nd);
	}
	if (n > 0)
		nd->ops->end_batch(nd);
	return n;
}

/* --- link and resets --- */

static void set_link(struct netdev *nd, const struct netdev_link *link)
{
	bool changed = link->up != netdev_link_up(nd);

	nd->link = *link;
	__atomic_store_n(&nd->link_up, link->up, __ATOMIC_RELAXED);
	if (!changed)
		return;
	netdev_add(nd, NETDEV_LINK_CHANGES, 1);
	if (link->up)
		log_info("%s: link up, %u Mbit/s, %s duplex", nd->name, link->speed,
			 link->full_duplex ? "full" : "half");
	else
		log_warn("%s: link down", nd->name);
	if (nd->owner.link != NULL)
		nd->owner.link(nd->owner.arg, link->up);
}

static void restart(struct netdev *nd)
{
	const struct netdev_link down = {.up = false};
	lock_token token = lock_take(&nd->lock);
	struct netdev_tx *unsent;
	int rc;

	nd->ops->halt(nd);
	unsent = take_all(nd, nd->ops->take_back);
	rc = nd->ops->run(nd);
	nd->progress = arch_tsc();
	lock_release(&nd->lock, token);
	netdev_add(nd, NETDEV_RESETS, 1);
	if (rc != 0 && !nd->dead)
		log_err("%s: it does not start again after a reset; that is tried again every second",
			nd->name);
	else if (rc == 0 && nd->dead)
		log_info("%s: it has started again", nd->name);
	nd->dead = rc != 0;
	nd->look_at = nd->dead ? later(arch_tsc(), RETRY_US) : 0;
	nd->reset_at = later(arch_tsc(), RESET_US);
	set_link(nd, &down);
	give_back(nd, unsent, -TERN_EIO);
}

/* A NIC whose link is down need not send; what waits there is given back all the same. */
static bool hangs(struct netdev *nd, u64 now)
{
	lock_token token = lock_take(&nd->lock);
	bool late = nd->waiting > 0 && now > nd->progress &&
		    now - nd->progress > timer_us_to_tsc(NETDEV_HANG_US);

	lock_release(&nd->lock, token);
	if (!late)
		return false;
	if (netdev_link_up(nd)) {
		netdev_add(nd, NETDEV_HANGS, 1);
		log_warn("%s: it has sent nothing for %u ms, though frames wait: reset", nd->name,
			 NETDEV_HANG_US / 1000);
	}
	return true;
}

/* Whether it is to be reset now. One that misbehaves again and again must not keep the CPU busy with that. */
static bool reset_due(struct netdev *nd, u64 now)
{
	if (nd->dead)
		return now >= nd->look_at;
	if (now < nd->reset_at)
		return false;
	return __atomic_exchange_n(&nd->reset_wanted, false, __ATOMIC_ACQ_REL) || hangs(nd, now);
}

/* What need not be looked at with every poll. */
static void look(struct netdev *nd, u64 now)
{
	struct netdev_link link;

	if (now < nd->look_at)
		return;
	nd->look_at = later(now, LOOK_US);
	nd->ops->link(nd, &link);
	set_link(nd, &link);
	if (now < nd->collect_at || nd->ops->collect == NULL)
		return;
	nd->collect_at = later(now, COLLECT_US);
	nd->ops->collect(nd);
}

bool netdev_poll(struct netdev *nd)
{
	bool sent, more;
	u32 received;
	u64 now = arch_tsc();

	if (!nd->open)
		return false;
	netdev_add(nd, NETDEV_POLLS, 1);
	if (reset_due(nd, now))
		restart(nd);
	if (nd->dead)
		return false;
	sent = finish_sent(nd);
	received = receive(nd);
	look(nd, now);
	if (nd->owner.after != NULL)
		nd->owner.after(nd->owner.arg);
	if (sent || received > 0 || __atomic_load_n(&nd->waiting, __ATOMIC_RELAXED) > 0)
		nd->busy_until = later(now, BUSY_US);
	more = received == NETDEV_POLL_BATCH;
	return more || sleep_until_traffic(nd, now);
}

bool netdev_poll_all(void)
{
	struct netdev *nd;
	bool more = false;

	for (u32 i = 0; (nd = netdev_get(i)) != NULL; i++)
		more |= netdev_poll(nd);
	return more;
}

/* --- opening and closing --- */

int netdev_open(struct netdev *nd, const struct netdev_owner *owner)
{
	u32 mtu = owner->mtu != 0 ? owner->mtu : NETDEV_MTU;
	lock_token token;
	int rc;

	if (nd->open)
		return -TERN_EBUSY;
	if (mtu > nd->mtu_max)
		return -TERN_EINVAL;
	nd->mtu = mtu;
	nd->owner = *owner;
	nd->link_up = 0;
	nd->link = (struct netdev_link){.up = false};
	nd->dead = nd->reset_wanted = false;
	nd->waiting = 0;
	nd->look_at = nd->collect_at = nd->busy_until = nd->reset_at = 0;
	rc = nd->ops->alloc(nd);
	if (rc != 0)
		return rc;
	if (nd->pci != NULL)
		pci_enable(nd->pci, true);
	wake_setup(nd);
	token = lock_take(&nd->lock);
	rc = nd->ops->run(nd);
	nd->progress = arch_tsc();
	nd->open = rc == 0;
	lock_release(&nd->lock, token);
	if (rc != 0) {
		wake_undo(nd);
		if (nd->pci != NULL)
			pci_enable(nd->pci, false);
		nd->ops->free(nd);
		return rc;
	}
	log_info("%s: %s for the %s, MTU %u, %s", nd->name, nd->model, owner->name, mtu, nd->wakes);
	netdev_kick(nd);
	return 0;
}

void netdev_close(struct netdev *nd)
{
	lock_token token;
	struct netdev_tx *unsent;

	if (!nd->open)
		return;
	token = lock_take(&nd->lock);
	nd->open = false;
	nd->ops->halt(nd);
	unsent = take_all(nd, nd->ops->take_back);
	lock_release(&nd->lock, token);
	wake_undo(nd);
	if (nd->pci != NULL) /* also one that does not listen any more cannot reach memory now */
		pci_enable(nd->pci, false);
	nd->ops->free(nd);
	__atomic_store_n(&nd->link_up, 0, __ATOMIC_RELAXED);
	give_back(nd, unsent, -TERN_ENODEV);
}

void netdev_reset(struct netdev *nd)
{
	__atomic_store_n(&nd->reset_wanted, true, __ATOMIC_RELEASE);
	netdev_kick(nd);
}
