/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns what comes to a running machine and goes from it. The kernel says so on a netlink socket in our loop. New processors and memory are brought online
 * and drivers loaded, in children: both may take long, and the drivers lie on a root that may be away. Whatever it was, a moment after the
 * last word of the kernel this machine is looked at anew, and the master told what it has now. That the kernel's words are lost (ENOBUFS) hides
 * nothing that is in use, and is said: a processor or memory that came then stays off unless the kernel switched it on itself.
 * What it does not do well: drivers are looked for among all devices (init-drivers rest), not for the one that came; and a processor that came while
 * no agent ran stays off, for nothing tells it from one that was switched off by hand.
 */
#include <errno.h>
#include <linux/netlink.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/close_range.h>
#include "config.h"
#include "libssi/base/buf.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/log.h"
#include "libssi/base/spawn.h"
#include "libssi/model/uevent.h"
#include "ssi-agent/agent.h"
#include "ssi-agent/devices.h"
#include "ssi-agent/online.h"

#define HOTPLUG_GROUP_KERNEL 1       /* the other one, 2, is udev's */
#define HOTPLUG_QUEUE (2 << 20)      /* a terabyte of memory comes as thousands of blocks */
#define HOTPLUG_DATAGRAM 8192        /* a kernel's uevent has 2 KiB of texts at most */
#define HOTPLUG_AT_ONCE 256          /* datagrams, before others have their turn */
#define HOTPLUG_PENDING (1u << 20)   /* bytes of devpaths that wait for a child: a terabyte in blocks of 128 MiB is 300 KiB */
#define HOTPLUG_QUIET_MS 60          /* after the kernel's last word */
#define HOTPLUG_LATEST_MS 250        /* after its first */
#define HOTPLUG_LOADER SSI_LIBEXECDIR "/init-drivers"

struct hotplug {
	int fd;
	sd_event_source *io, *timer, *online_child, *driver_child;
	uint64_t since;                      /* when the first word came that nobody has looked into, 0 = none */
	struct ssi_buf online, devices;      /* what came: devpaths, a NUL behind each */
	int report;                          /* of the driver loader's start */
	bool lost;                           /* more came than was noted */
};

/* --- in children --- */

/* Nothing of ours stays open in it: it must not hold the connection to the master when we close it. */
static void hotplug_online_child(int sys, const char *list, size_t n)
{
	if (dup2(sys, 3) < 0 || close_range(4, ~0U, 0) < 0)
		_exit(1);
	for (const char *at = list; at < list + n; at += strlen(at) + 1) {
		int r = online_bring(3, at);

		if (r < 0 && r != -ENOENT)
			log_warning("%s does not come online: %s", at, strerror(-r));
	}
	_exit(0);
}

static int hotplug_on_onlined(sd_event_source *s, const siginfo_t *si, void *userdata);
static int hotplug_on_loaded(sd_event_source *s, const siginfo_t *si, void *userdata);

static void hotplug_bring_online(struct agent *a)
{
	struct hotplug *h = a->hotplug;
	pid_t pid;

	if (!h->online.len || h->online_child)
		return;
	pid = fork();
	if (pid == 0)
		hotplug_online_child(machine_sysfs(), h->online.data, h->online.len);
	if (pid < 0 || sd_event_add_child(a->event, &h->online_child, pid, WEXITED, hotplug_on_onlined, a) < 0)
		log_error("new processors and memory cannot be brought online: out of memory");
	ssi_buf_free(&h->online);
}

/* Has something come that nothing drives? */
static bool hotplug_undriven(const struct hotplug *h)
{
	for (const char *at = h->devices.data; at < h->devices.data + h->devices.len; at += strlen(at) + 1)
		if (!devices_driven(machine_sysfs(), at))
			return true;
	return false;
}

static void hotplug_load_drivers(struct agent *a)
{
	struct hotplug *h = a->hotplug;
	char *argv[] = { (char *)HOTPLUG_LOADER, (char *)"rest", NULL };
	struct ssi_err e;
	pid_t pid;

	if (!h->devices.len || h->driver_child)
		return;
	if (hotplug_undriven(h)) {
		if (ssi_spawn_start(argv, NULL, SSI_SPAWN_MORTAL, &pid, &h->report, &e) < 0)
			log_error("drivers of new devices: %s", e.text);
		else if (sd_event_add_child(a->event, &h->driver_child, pid, WEXITED, hotplug_on_loaded, a) < 0) {
			log_error("drivers of new devices: out of memory");
			close(TAKE_FD(h->report));
		}
	}
	ssi_buf_free(&h->devices);
}

/* --- in time --- */

static void hotplug_arm(struct hotplug *h)
{
	uint64_t now = ssi_clock_mono_ms(), wait = HOTPLUG_QUIET_MS;

	if (!h->since)
		h->since = now;
	if (h->since + HOTPLUG_LATEST_MS < now + wait)
		wait = h->since + HOTPLUG_LATEST_MS > now ? h->since + HOTPLUG_LATEST_MS - now : 0;
	sd_event_source_set_time_relative(h->timer, wait * 1000);
	sd_event_source_set_enabled(h->timer, SD_EVENT_ONESHOT);
}

static int hotplug_on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct agent *a = userdata;

	a->hotplug->since = 0;
	if (a->hotplug->lost)
		log_warning("more came and went at once than was noted: looking at what is there; switch on by hand what stays off (online in /sys/devices/system)");
	a->hotplug->lost = false;
	hotplug_bring_online(a);
	hotplug_load_drivers(a);
	session_hardware(a);
	return 0;
}

static int hotplug_on_onlined(sd_event_source *s, const siginfo_t *si, void *userdata)
{
	struct hotplug *h = ((struct agent *)userdata)->hotplug;

	h->online_child = sd_event_source_disable_unref(h->online_child);
	hotplug_arm(h);
	return 0;
}

static int hotplug_on_loaded(sd_event_source *s, const siginfo_t *si, void *userdata)
{
	struct hotplug *h = ((struct agent *)userdata)->hotplug;
	int r = ssi_spawn_report(h->report);

	if (r < 0)
		log_warning("%s: %s", HOTPLUG_LOADER, strerror(-r));
	close(TAKE_FD(h->report));
	h->driver_child = sd_event_source_disable_unref(h->driver_child);
	hotplug_arm(h);
	return 0;
}

/* --- the kernel's words --- */

static void hotplug_keep(struct hotplug *h, struct ssi_buf *list, const char *devpath)
{
	if (list->len < HOTPLUG_PENDING && ssi_buf_add(list, devpath, strlen(devpath) + 1) >= 0)
		return;
	list->err = 0;                       /* no memory for this one; there may be for the next */
	h->lost = true;
}

static void hotplug_take(struct hotplug *h, const char *p, size_t n)
{
	struct ssi_uevent u;

	if (ssi_uevent_parse(p, n, &u) < 0)
		return;
	if (!strcmp(u.action, "add") && online_is(u.devpath))
		hotplug_keep(h, &h->online, u.devpath);
	else if (!strcmp(u.action, "add") && *u.modalias)
		hotplug_keep(h, &h->devices, u.devpath);
	hotplug_arm(h);
}

/* One datagram; -EAGAIN: there is none. Only the kernel is listened to: its address is 0. */
static int hotplug_receive(struct hotplug *h)
{
	char buf[HOTPLUG_DATAGRAM];
	struct sockaddr_nl from = { 0 };
	struct iovec v = { buf, sizeof(buf) };
	struct msghdr m = { .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &v, .msg_iovlen = 1 };
	ssize_t n = recvmsg(h->fd, &m, MSG_DONTWAIT);

	if (n < 0 && errno == ENOBUFS) {
		h->lost = true;
		hotplug_arm(h);
		return 0;
	}
	if (n < 0)
		return -errno;
	if (from.nl_pid == 0 && !(m.msg_flags & MSG_TRUNC))
		hotplug_take(h, buf, (size_t)n);
	return 0;
}

static int hotplug_on_event(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct agent *a = userdata;

	for (int i = 0; i < HOTPLUG_AT_ONCE && hotplug_receive(a->hotplug) == 0; i++)
		;
	return 0;
}

/* --- beginning and end --- */

static int hotplug_socket(void)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = HOTPLUG_GROUP_KERNEL };
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &(int){ HOTPLUG_QUEUE }, sizeof(int)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){ HOTPLUG_QUEUE }, sizeof(int));
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int hotplug_open(struct agent *a, struct ssi_err *e)
{
	struct hotplug *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return ssi_errno(e, -ENOMEM, "uevents");
	a->hotplug = h;
	h->report = -1;
	h->fd = r = hotplug_socket();
	if (r >= 0)
		r = sd_event_add_io(a->event, &h->io, h->fd, EPOLLIN, hotplug_on_event, a);
	if (r >= 0)
		r = sd_event_add_time_relative(a->event, &h->timer, CLOCK_MONOTONIC, 0, 1000, hotplug_on_timer, a);
	if (r >= 0)
		r = sd_event_source_set_enabled(h->timer, SD_EVENT_OFF);
	if (r < 0)
		return ssi_errno(e, r, "uevents");
	online_policy(machine_sysfs());
	return 0;
}

void hotplug_close(struct agent *a)
{
	struct hotplug *h = a->hotplug;

	if (!h)
		return;
	sd_event_source_disable_unref(h->io);
	sd_event_source_disable_unref(h->timer);
	sd_event_source_disable_unref(h->online_child);
	sd_event_source_disable_unref(h->driver_child);
	if (h->fd >= 0)
		close(h->fd);
	if (h->report >= 0)
		close(h->report);
	ssi_buf_free(&h->online);
	ssi_buf_free(&h->devices);
	free(h);
	a->hotplug = NULL;
}
