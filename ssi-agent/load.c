/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the second in which the master is told what this machine does. Called by session.c when it is joined, and when it is not any more. */
#include <errno.h>
#include <stdlib.h>
#include "ssi-agent/agent.h"
#include "ssi-agent/load-read.h"
#include "ssi/procspace/load-node.h"

#define LOAD_EVERY_US 1000000
#define LOAD_SLACK_US 50000

struct load {
	struct load_reader *reader;
	struct ssi_load_teller teller;
	sd_event_source *timer;
};

static int load_on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct agent *a = userdata;
	const struct ssi_load *now;

	if (!ssi_member_conn(a->member))
		return 0;
	if (load_read(a->load->reader, &a->inventory, &now) == 0)
		ssi_load_tell(&a->load->teller, ssi_member_conn(a->member), now);
	sd_event_source_set_time_relative(s, LOAD_EVERY_US);
	return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

int load_open(struct agent *a, struct ssi_err *e)
{
	int r;

	a->load = calloc(1, sizeof(*a->load));
	r = a->load ? load_reader_new(machine_procfs(), machine_sysfs(), &a->load->reader) : -ENOMEM;
	if (r >= 0)
		r = sd_event_add_time(a->event, &a->load->timer, CLOCK_MONOTONIC, 0, LOAD_SLACK_US, load_on_timer, a);
	if (r >= 0)
		r = sd_event_source_set_enabled(a->load->timer, SD_EVENT_OFF);
	return r < 0 ? ssi_errno(e, r, "load") : 0;
}

void load_enable(struct agent *a, bool joined)
{
	ssi_load_forget(&a->load->teller);
	sd_event_source_set_time_relative(a->load->timer, 0);      /* the first at once: who waits for a node to place something there need not wait for it */
	sd_event_source_set_enabled(a->load->timer, joined ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

void load_close(struct agent *a)
{
	if (!a->load)
		return;
	sd_event_source_disable_unref(a->load->timer);
	ssi_load_forget(&a->load->teller);
	load_reader_free(a->load->reader);
	free(a->load);
}
