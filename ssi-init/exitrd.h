/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The way back into the initramfs at the end of a node whose PID 1 is systemd and whose writable layer is a disk. systemd cannot close that disk: its own root
 * stands on it. So it makes the initramfs the root again, with its own as /oldroot, and executes /shutdown there, which is ssi-init (the interface is
 * systemd's: systemd.io/INITRD_INTERFACE, "exitrd").
 */
#include "libssi/base/err.h"

/* In PID 1, before the switch and after keep_open(): /shutdown, and the writable layer where systemd does not unmount it. Without effect where nothing was
 * kept. May be called again. Error: what could not be made. */
int exitrd_prepare(struct ssi_err *e);
/* Is PID 1 started as /shutdown? */
bool exitrd_is(const char *program);
/* As /shutdown: close the disks and end the machine as systemd means it: "reboot", "poweroff", "halt" or "kexec". */
void exitrd_run(const char *how) __attribute__((noreturn));
