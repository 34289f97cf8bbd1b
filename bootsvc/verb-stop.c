/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "stop": the daemon ends in order. Nodes go on running; they come back to the next daemon by themselves. Returns when it is gone. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "bootsvc/verb-ask.h"
#include "bootsvc/verbs.h"

#define STOP_TIMEOUT_MS 30000

/* Wait for a process that is not our child. */
static int wait_gone(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	int r = poll(&p, 1, STOP_TIMEOUT_MS);

	return r > 0 ? 0 : r == 0 ? -ETIMEDOUT : -errno;
}

int verb_stop(struct ssi_cmd_args *a, int argc, char **argv)
{
	_cleanup_json_ json_t *status = NULL, *answer = NULL;
	_cleanup_close_ int pidfd = -1;
	pid_t pid;
	int r = verb_ask(a, "status", NULL, &status);

	if (r != 0)
		return r;
	pid = (pid_t)ssi_json_int(json_object_get(json_object_get(status, "data"), "daemon"), "pid");
	pidfd = pid > 0 ? pidfd_open(pid, 0) : -1;
	r = verb_ask(a, "stop", NULL, &answer);
	if (r != 0)
		return r;
	if (pidfd >= 0 && wait_gone(pidfd) < 0) {
		fprintf(stderr, "ssi-bootsvc: process %d has not ended after %d s\n", (int)pid, STOP_TIMEOUT_MS / 1000);
		return 1;
	}
	return 0;
}
