/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns run_dir/view, the merged system as text for whoever wants to know on this node. Written at most once a second. */
#include <stdio.h>
#include "libssi/base/file.h"
#include "ssi-agent/agent.h"

#define VIEW_REST_US 1000000

static void view_write(struct agent *a)
{
	_cleanup_buf_ struct ssi_buf text = SSI_BUF_INIT;

	if (ssi_view_format(a->view, &text) >= 0)
		ssi_file_write_atomic("view", text.data, text.len, 0644);
	a->view = NULL;
}

static int view_on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct agent *a = userdata;

	a->view_timer = sd_event_source_disable_unref(a->view_timer);
	if (a->view)
		view_changed(a, a->view);
	return 0;
}

void view_changed(struct agent *a, const struct ssi_view *v)
{
	a->view = v;
	if (a->view_timer)
		return;                      /* written a moment ago: the timer writes it when the rest is over */
	view_write(a);
	sd_event_add_time_relative(a->event, &a->view_timer, CLOCK_MONOTONIC, VIEW_REST_US, 0, view_on_timer, a);
}

void view_close(struct agent *a)
{
	a->view_timer = sd_event_source_disable_unref(a->view_timer);
}
