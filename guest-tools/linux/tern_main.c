// SPDX-License-Identifier: (GPL-2.0-only OR MIT)
/*
 * The driver of the ACPI device TERN0001, and /dev/tern (tern_dev.h): messages of the agent go to
 * the node by hypercall, the device's interrupt says that the node has an event.
 *
 * The interrupt is on only while an agent listens, from its HELLO on. Otherwise events wait in the
 * node, which keeps the newest of each kind.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "tern_dev.h"
#include "tern_node.h"

#include <abi/hypercall.h>

#include <linux/acpi.h>
#include <linux/bitops.h>
#include <linux/fs.h>
#include <linux/interrupt.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/poll.h>
#include <linux/spinlock.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

#define TERN_EVENTS_MAX 8
/* One interrupt fetches no more, so that even a node that never ends cannot hold the thread. */
#define TERN_FETCH_MAX 64
#define TERN_OPEN      0 /* bit of tern.flags */

struct tern {
	struct tern_node *node;
	struct miscdevice misc;
	int irq;
	unsigned long flags;
	struct mutex hello_lock; /* of listening */
	bool listening;          /* the interrupt is on */

	struct mutex read_lock; /* taken before events_lock: one reader at a time */
	spinlock_t events_lock; /* of events and their count */
	struct agent_event events[TERN_EVENTS_MAX]; /* the oldest first */
	unsigned int events_count;
	wait_queue_head_t events_wait;
};

static const struct tern_command {
	unsigned int ioctl;
	u32 call;
	u16 type;
} tern_commands[] = {
	{TERN_IOC_HELLO, HC_AGENT_HELLO, AGENT_HELLO},
	{TERN_IOC_SAMPLE, HC_AGENT_SAMPLE, AGENT_SAMPLE},
	{TERN_IOC_DEMAND, HC_AGENT_DEMAND, AGENT_DEMAND},
	{TERN_IOC_NOTICE, HC_AGENT_NOTICE, AGENT_NOTICE},
	{TERN_IOC_QUERY, HC_AGENT_QUERY, AGENT_STATE},
	{TERN_IOC_ACK, HC_AGENT_ACK, AGENT_ACK},
};

/* events_lock is held. */
static void tern_events_remove(struct tern *tern, unsigned int i)
{
	tern->events_count--;
	memmove(&tern->events[i], &tern->events[i + 1],
		(tern->events_count - i) * sizeof(tern->events[0]));
}

/* As in the node, an event that was not read yet gives way to a newer one of its kind. */
static void tern_events_add(struct tern *tern, const struct agent_event *event)
{
	unsigned int i;

	spin_lock(&tern->events_lock);
	for (i = 0; i < tern->events_count; i++) {
		if (tern->events[i].kind == event->kind) {
			tern_events_remove(tern, i);
			break;
		}
	}
	if (tern->events_count == TERN_EVENTS_MAX) {
		pr_warn_ratelimited("nobody reads: an event of kind %u is lost\n",
				    tern->events[0].kind);
		tern_events_remove(tern, 0);
	}
	tern->events[tern->events_count++] = *event;
	spin_unlock(&tern->events_lock);
	wake_up_interruptible(&tern->events_wait);
}

static bool tern_events_first(struct tern *tern, struct agent_event *event)
{
	bool found;

	spin_lock(&tern->events_lock);
	found = tern->events_count;
	if (found)
		*event = tern->events[0];
	spin_unlock(&tern->events_lock);
	return found;
}

/* It was read, unless it has already given way. */
static void tern_events_done(struct tern *tern, const struct agent_event *event)
{
	spin_lock(&tern->events_lock);
	if (tern->events_count && tern->events[0].head.seq == event->head.seq)
		tern_events_remove(tern, 0);
	spin_unlock(&tern->events_lock);
}

/*
 * Level-triggered: fetching the last event ends it. When nothing can be fetched it is not ours, and
 * the kernel turns off a line that nobody can serve.
 */
static irqreturn_t tern_interrupt(int irq, void *data)
{
	struct tern *tern = data;
	union tern_message message;
	unsigned int i;
	s64 result;

	for (i = 0; i < TERN_FETCH_MAX; i++) {
		result = tern_node_fetch(tern->node, HC_AGENT_EVENT, AGENT_EVENT, &message,
					 sizeof(message.event));
		if (result <= 0)
			break;
		tern_events_add(tern, &message.event);
	}
	if (result < 0)
		pr_err_ratelimited("an event could not be fetched: error %lld\n", result);
	return i ? IRQ_HANDLED : IRQ_NONE;
}

static struct tern *tern_of(struct file *file)
{
	return container_of(file->private_data, struct tern, misc);
}

static int tern_open(struct inode *inode, struct file *file)
{
	if (test_and_set_bit_lock(TERN_OPEN, &tern_of(file)->flags))
		return -EBUSY;
	return nonseekable_open(inode, file);
}

static int tern_release(struct inode *inode, struct file *file)
{
	struct tern *tern = tern_of(file);

	/* Nobody else has the file: neither lock is needed. */
	if (tern->listening)
		disable_irq(tern->irq);
	tern->listening = false;
	tern->events_count = 0;
	clear_bit_unlock(TERN_OPEN, &tern->flags);
	return 0;
}

static ssize_t tern_read(struct file *file, char __user *to, size_t bytes, loff_t *pos)
{
	struct tern *tern = tern_of(file);
	struct agent_event event;
	unsigned long left;

	if (bytes < sizeof(event))
		return -EINVAL;
	for (;;) {
		if (mutex_lock_interruptible(&tern->read_lock))
			return -ERESTARTSYS;
		if (tern_events_first(tern, &event))
			break;
		mutex_unlock(&tern->read_lock);
		if (file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		if (wait_event_interruptible(tern->events_wait, READ_ONCE(tern->events_count)))
			return -ERESTARTSYS;
	}
	left = copy_to_user(to, &event, sizeof(event));
	if (!left)
		tern_events_done(tern, &event);
	mutex_unlock(&tern->read_lock);
	return left ? -EFAULT : sizeof(event);
}

static __poll_t tern_poll(struct file *file, poll_table *wait)
{
	struct tern *tern = tern_of(file);

	poll_wait(file, &tern->events_wait, wait);
	return READ_ONCE(tern->events_count) ? EPOLLIN | EPOLLRDNORM : 0;
}

static void tern_listen(struct tern *tern)
{
	mutex_lock(&tern->hello_lock);
	if (!tern->listening)
		enable_irq(tern->irq);
	tern->listening = true;
	mutex_unlock(&tern->hello_lock);
}

static const struct tern_command *tern_command_of(unsigned int ioctl)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tern_commands); i++) {
		if (tern_commands[i].ioctl == ioctl)
			return &tern_commands[i];
	}
	return NULL;
}

static long tern_ioctl(struct file *file, unsigned int ioctl, unsigned long arg)
{
	struct tern *tern = tern_of(file);
	const struct tern_command *command = tern_command_of(ioctl);
	void __user *user = (void __user *)arg;
	union tern_message message;
	s64 result;

	if (!command)
		return -ENOTTY;
	if (!(_IOC_DIR(ioctl) & _IOC_WRITE)) {
		result = tern_node_fetch(tern->node, command->call, command->type, &message,
					 _IOC_SIZE(ioctl));
		if (result > 0 && copy_to_user(user, &message, result))
			return -EFAULT;
		return result;
	}
	if (copy_from_user(&message, user, _IOC_SIZE(ioctl)))
		return -EFAULT;
	result = tern_node_send(tern->node, command->call, command->type, &message,
				_IOC_SIZE(ioctl));
	if (result < 0 || command->type != AGENT_HELLO)
		return result;
	tern_listen(tern);
	/* Features are 64 bits and do not fit into what ioctl() returns. */
	message.hello.features = result;
	return copy_to_user(user, &message, sizeof(message.hello)) ? -EFAULT : 0;
}

static const struct file_operations tern_file_operations = {
	.owner = THIS_MODULE,
	.open = tern_open,
	.release = tern_release,
	.read = tern_read,
	.poll = tern_poll,
	.unlocked_ioctl = tern_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static void tern_deregister(void *misc)
{
	misc_deregister(misc);
}

static int __init tern_probe(struct platform_device *pdev)
{
	struct device *dev = &pdev->dev;
	struct tern *tern = devm_kzalloc(dev, sizeof(*tern), GFP_KERNEL);
	int error;

	if (!tern)
		return -ENOMEM;
	tern->node = tern_node_new(dev);
	if (!tern->node)
		return -ENOMEM;
	mutex_init(&tern->hello_lock);
	mutex_init(&tern->read_lock);
	spin_lock_init(&tern->events_lock);
	init_waitqueue_head(&tern->events_wait);

	tern->irq = platform_get_irq(pdev, 0);
	if (tern->irq < 0)
		return tern->irq;
	error = devm_request_threaded_irq(dev, tern->irq, NULL, tern_interrupt,
					  IRQF_ONESHOT | IRQF_NO_AUTOEN, KBUILD_MODNAME, tern);
	if (error)
		return dev_err_probe(dev, error, "interrupt %d is not to be had\n", tern->irq);

	tern->misc.minor = MISC_DYNAMIC_MINOR;
	tern->misc.name = "tern";
	tern->misc.mode = 0660;
	tern->misc.fops = &tern_file_operations;
	tern->misc.parent = dev;
	error = misc_register(&tern->misc);
	if (error)
		return dev_err_probe(dev, error, "/dev/tern cannot be made\n");
	return devm_add_action_or_reset(dev, tern_deregister, &tern->misc);
}

static const struct acpi_device_id tern_acpi_ids[] = {{AGENT_ACPI_HID}, {}};
MODULE_DEVICE_TABLE(acpi, tern_acpi_ids);

static struct platform_driver tern_driver = {
	.driver.name = KBUILD_MODNAME,
	.driver.acpi_match_table = tern_acpi_ids,
};

static int __init tern_init(void)
{
	int error = tern_node_check();

	if (error)
		return error;
	if (!acpi_dev_present(AGENT_ACPI_HID, NULL, -1)) {
		pr_err("this node has no ACPI device " AGENT_ACPI_HID "\n");
		return -ENODEV;
	}
	/* The device is there from the start and stays: nobody binds it later, or takes it away. */
	return platform_driver_probe(&tern_driver, tern_probe);
}

static void __exit tern_exit(void)
{
	platform_driver_unregister(&tern_driver);
}

module_init(tern_init);
module_exit(tern_exit);

MODULE_DESCRIPTION("Tern: way of the agent to the node");
MODULE_AUTHOR("The Tern developers");
MODULE_VERSION(TERN_MODULE_VERSION);
MODULE_LICENSE("Dual MIT/GPL");
