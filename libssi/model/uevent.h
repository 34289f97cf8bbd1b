/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * A uevent of the kernel, as it stands in one datagram of NETLINK_KOBJECT_UEVENT (lib/kobject_uevent.c): "ACTION@DEVPATH", then KEY=VALUE
 * texts, each ended by a NUL. Pure.
 */
#include <stddef.h>

/* Borrowed from the datagram; "" for a key that is not there. */
struct ssi_uevent {
	const char *action;              /* "add", "remove", "online", … */
	const char *devpath;             /* "/devices/system/cpu/cpu1", below sysfs */
	const char *subsystem;
	const char *modalias;            /* what a driver is looked up by */
};

/* 0, or -EBADMSG: not a uevent of the kernel, or a text in it has no end. */
int ssi_uevent_parse(const char *p, size_t n, struct ssi_uevent *ret);
