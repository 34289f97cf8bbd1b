/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * One fence agent and what it is to be told: from a [machine]'s power keys. The options go to its standard input as key=value lines,
 * never to its command line. What it says is stripped of the password before anyone sees it.
 * Follows the FenceAgentAPI of ClusterLabs: exit status 0 is success (for "status": on), 2 from "status" is off.
 */
#include <stddef.h>
#include <sys/types.h>
#include "libssi/base/err.h"
#include "libssi/model/registry.h"

struct power_agent {
	char *program;               /* "fence_ipmilan": a name, no path */
	char *options;               /* key=value lines, the password's too */
	char *password;              /* NULL without one; kept to strip it from messages */
	unsigned timeout_ms;         /* of one run */
};

/* -ENOTSUP without a "power" key, -ENOENT without the agent or the password file, -EACCES when others may read the latter, -EINVAL. */
int power_agent_read(const struct ssi_machine *m, struct power_agent *ret, struct ssi_err *e);
void power_agent_free(struct power_agent *a);        /* overwrites what is secret */
/* Start it, in a process group of its own. *ret_output gives its standard output and error, not blocking; the caller's. */
int power_agent_spawn(const struct power_agent *a, const char *action, pid_t *ret_pid, int *ret_output, struct ssi_err *e);
/* Why a run failed: fills e from its last words (changed in place) and exit status (128 + signal). Returns -EIO. */
int power_agent_failed(const struct power_agent *a, const char *action, int status, char *output, struct ssi_err *e);
