/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The iSCSI session of a node whose image or state volume is a disk of the master, from its login on. */
#include <stdbool.h>
#include <stddef.h>
#include "libssi/model/bootargs.h"

#define SESSION_GLOB "/sys/class/iscsi_session/session*"

/* Is there a session? What the kernel calls its state ("LOGGED_IN", "FAILED") into state, which may be NULL. */
bool session_state(char *state, size_t n);
/*
 * Keep it, for ever; in a process of its own, after the switch. Runs open-iscsi's iscsid, which logs in again when the connection was lost, and again when that ends; says on the console
 * and as an event when the master has not been there for some seconds, and when it is back. All of it lives in the initramfs's memory and in a mount namespace that holds nothing
 * else, so that it neither waits for the disks it is there for, nor keeps them from being unmounted.
 */
_Noreturn void session_keep(const struct ssi_bootargs *a);
