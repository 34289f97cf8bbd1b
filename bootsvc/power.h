/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Power of machines, by fence agents (fence-agents' interface: key=value lines on standard input, "off" returns only when the power is
 * confirmed off). Runs in the daemon's loop: a call returns at once, its result comes by callback. At most SSI_POWER_CHILDREN agents run at once,
 * others wait their turn; two actions on one machine run one after the other. A password goes to the agent's standard input and nowhere else.
 */
#include <systemd/sd-event.h>
#include "libssi/base/err.h"
#include "libssi/model/registry.h"

#define SSI_POWER_CHILDREN 16
#define SSI_POWER_TIMEOUT_MS 60000       /* of one agent run, where power.timeout does not say otherwise */

enum ssi_power_action { SSI_POWER_ON, SSI_POWER_OFF, SSI_POWER_CYCLE, SSI_POWER_STATUS, SSI_POWER_ACTIONS };
const char *ssi_power_name(enum ssi_power_action a);     /* "on", "off", "cycle", "status" */
int ssi_power_parse(const char *name);                   /* the action, or -EINVAL */

struct ssi_power;                         /* blocks SIGCHLD, which sd-event needs */
int ssi_power_new(sd_event *event, struct ssi_power **ret);
void ssi_power_free(struct ssi_power *p);                /* ends running agents; every callback still due is called with -ECANCELED; NULL is fine */

/* Called once for every ssi_power_start that returned 0, from the loop. err 0: done; state is 1 = on, 0 = off, -1 = not known (asked for by STATUS;
 * for the others what was reached). err < 0: why->text says what to do in a line, without any secret. */
typedef void (*ssi_power_done)(const char *mac, enum ssi_power_action a, int err, int state, const struct ssi_err *why, void *userdata);
/* m is copied from. -ENOTSUP when the machine has no "power" key, -EACCES when its password file may be read by others, -ENOENT without the agent. */
int ssi_power_start(struct ssi_power *p, const struct ssi_machine *m, enum ssi_power_action a, ssi_power_done done, void *userdata, struct ssi_err *e);
