/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What stays of the initramfs after the switch: its libraries and helpers, in memory, visible as /run/initramfs, which systemd leaves alone. A program that is started with
 * them need not wait for a dozen libraries to come over the network, and runs on when the root is lost.
 */
#include <stdbool.h>

#define KEEP_DIR "/run/initramfs"
#define KEEP_EXIT "shutdown"             /* a program there (exitrd.h) */
#define KEEP_STATE "state"               /* a folder there: the writable layer */
#define KEEP_WORDS 6                     /* that keep_command() puts in front */

/* Before the switch. Without effect where it cannot be; programs are then started from the image alone. */
void keep_open(void);
/* Has it had an effect? */
bool keep_is_open(void);
/* Is a file of the initramfs (its name, without directories) to stay? */
bool keep_file(const char *name);
/* The words that run `program` with the kept libraries: the initramfs's own copy of it if there is one, else the image's. Up to KEEP_WORDS words into ret, pointing to
 * static memory; how many. 0: nothing was kept. */
int keep_command(const char *program, char *ret[KEEP_WORDS]);
