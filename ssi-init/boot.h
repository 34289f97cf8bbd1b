/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What all of ssi-init knows of this boot, and the places of things on a node (doc/boot.md). */
#include "libssi/model/bootargs.h"

#define BOOT_RUN        "/run/ssi"
#define BOOT_ARGS       BOOT_RUN "/bootargs"
#define BOOT_KEY        BOOT_RUN "/node.key"
#define BOOT_SECRET     BOOT_RUN "/iscsi.secret"
#define BOOT_TIMELINE   BOOT_RUN "/timeline"
#define BOOT_EVENTS     BOOT_RUN "/events"
#define BOOT_SHUTDOWN   BOOT_RUN "/shutdown"
#define BOOT_ROOT       BOOT_RUN "/root"
#define BOOT_IMAGE      BOOT_ROOT "/image"
#define BOOT_LOWER      BOOT_ROOT "/lower"
#define BOOT_RW         BOOT_ROOT "/rw"
#define BOOT_SYSROOT    "/sysroot"
#define BOOT_CMDLINE_MAX 4096

struct boot {
	struct ssi_bootargs args;
	bool args_known;         /* false: the command line could not be read or is wrong */
};

/* Where the root is: ssi.root=nfs:..., ram:... */
bool boot_is_nfs(const void *boot);
bool boot_is_ram(const void *boot);
/* Does it mount file systems that its system shares? */
bool boot_has_shared(const void *boot);
/* Is a disk of the master's needed, for the image or the state volume? */
bool boot_is_iscsi(const void *boot);
/* Is this a node, which has a master? False for a machine that boots from its own disk. */
bool boot_has_master(const void *boot);
/* Read /proc/cmdline; -EINVAL names the word that is wrong or missing. */
int boot_read_args(struct boot *b, struct ssi_err *e);
/* Become the helper PROGRAM of libexecdir, in a stage's child; returns only on failure. */
int boot_exec_helper(const char *program, char *const argv[], struct ssi_err *e);
