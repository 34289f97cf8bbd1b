/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * How a stage's child tells PID 1 what became of it: one record in an anonymous file that both hold. Unlike a pipe it never fills,
 * keeps the last word of a child that was killed, and crosses execve() into the helper programs (as descriptor OUTCOME_FD).
 */
#include "libssi/base/err.h"

#define OUTCOME_FD 3

int outcome_new(struct ssi_err *e);                        /* a descriptor above 10, close-on-exec; or -errno */
void outcome_clear(int fd);
void outcome_adopt(int fd);                                /* in the child: make it OUTCOME_FD */
/* In the child, any time: what it is doing now ("waiting for a carrier on eth0"). It is the message if the child is killed. */
void outcome_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void outcome_put(const struct ssi_err *e);                 /* in the child, at its end: e->code and e->text */
int outcome_get(int fd, struct ssi_err *ret);              /* in PID 1: 0 if there is a record, -ENODATA */
