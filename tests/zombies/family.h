/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The two ends of a case of the zombie matrix: the parent of a deputy, here, and the program that the deputy stands for, on a node. */
#include <sys/types.h>

enum family_parent { FAMILY_WAITS, FAMILY_IGNORES, FAMILY_GONE, FAMILY_DIES, FAMILY_STOPPED, FAMILY_PARENTS };
enum family_child { FAMILY_EXITS, FAMILY_KILLED, FAMILY_DUMPS, FAMILY_BROKEN, FAMILY_CHILDREN };

/* What a parent says of its deputy, in this order. */
enum family_word { FAMILY_DEPUTY, FAMILY_STATUS, FAMILY_NOBODY };      /* its pid; its wait status; there is nothing to wait for */
struct family_said { int word, value; };

/*
 * Forks a parent of this kind, which forks and executes argv; ret_fd: where it says things. The parent waits for its child as its kind does; one that is to be
 * gone has ended, and was waited for, when this returns. -errno.
 */
int family_start(enum family_parent kind, char *const argv[], pid_t *ret_pid, int *ret_fd);
/* The program: tells its number to whoever listens there, waits for a word, and ends as it is told to: "exit:N", "signal:N", "core". */
int family_child(int argc, char **argv);
