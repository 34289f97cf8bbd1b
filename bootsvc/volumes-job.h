/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Commands one after the other, beside the loop: mkfs, fsck, cp. */
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>
#include "libssi/base/err.h"

#define VOLUME_ARGS 16
struct volume_command {
	const char *argv[VOLUME_ARGS];   /* ends with NULL; copied */
	uint32_t ok;                     /* exit statuses that are no failure, a bit each; bit 0 is 0 */
	bool otherwise;                  /* only where the one before failed, and instead of it */
	unsigned limit_s;                /* then it is killed; 0 = none */
};
struct volume_job;
/* err 0: all went well; ran: the last command that was begun. Else why->text is what it said. The job is gone when this is called. */
typedef void (*volume_job_fn)(int err, const struct ssi_err *why, size_t ran, void *userdata);
/* done is called once, later, from the loop, also where the first command cannot be started. -ENOMEM. */
int volume_job_start(sd_event *event, const struct volume_command *c, size_t n, volume_job_fn done, void *userdata, struct volume_job **ret);
void volume_job_end(struct volume_job *j);       /* kill it and forget it: done is not called; NULL is fine */
