/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reconciling closed doors: look, write where it is not as wanted, look again; one nft(8) at a time, beside the loop. Whoever waits for a door is answered by a look that began after
 * it was stored. Called by fence.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bootsvc/child.h"
#include "bootsvc/doors-nft.h"
#include "bootsvc/doors.h"
#include "bootsvc/events.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/file.h"
#include "libssi/base/log.h"
#include "libssi/base/path.h"
#include "libssi/base/spawn.h"

#define NFT_MS 30000                     /* the first one loads kernel modules, on a master that is just starting */
#define LOOK_US (10ull * 1000 * 1000)    /* between two looks while a door is closed; */
#define LOOK_SLACK_US 1000
#define AGAIN_US (2ull * 1000 * 1000)    /* and after a failure */

struct waiter {
	struct waiter *next;
	char mac[SSI_MAC_LEN];
	bool now;                        /* the look that is under way answers it */
	doors_done done;
	void *userdata;
};

struct doors {
	struct daemon *daemon;
	struct doors_list wanted;
	struct child *child;             /* NULL: nothing runs */
	bool wrote;                      /* this look is after we wrote */
	bool again;                      /* something changed while a child ran */
	bool settled;                    /* the last look found what was wanted */
	char failure[SSI_ERR_MAX];       /* that was said last */
	struct waiter *waiters;
	sd_event_source *timer;
};

static void look(struct doors *x);

static void arm(struct doors *x, uint64_t us)
{
	sd_event_source_set_time_relative(x->timer, us);
	sd_event_source_set_enabled(x->timer, SD_EVENT_ONESHOT);
}

/* Answer those that waited for this look. actual NULL: why it failed. */
static void answer(struct doors *x, const struct doors_list *actual, const struct ssi_err *why)
{
	struct waiter **at = &x->waiters, *due = NULL, **tail = &due;

	while (*at) {
		struct waiter *w = *at;

		if (!w->now) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		w->next = NULL;
		*tail = w;
		tail = &w->next;
	}
	while (due) {
		struct waiter *w = due;
		struct ssi_err e;

		due = w->next;
		if (actual && doors_list_has(actual, w->mac))
			w->done(w->mac, 0, NULL, w->userdata);
		else if (why)
			w->done(w->mac, why->code, why, w->userdata);
		else
			w->done(w->mac, ssi_errf(&e, -ECANCELED, "the door to %s was opened again meanwhile", w->mac), &e, w->userdata);
		free(w);
	}
}

/* The end of a look: as wanted, or it could not be brought about. */
static void settle(struct doors *x, const struct doors_list *actual, const struct ssi_err *why)
{
	x->wrote = false;
	x->settled = !why;
	if (why && x->wanted.n && strcmp(x->failure, why->text) != 0)
		events_add(x->daemon->events, "fence-failed", "", "", 0, "the packet filter does not follow: %s", why->text);
	strcpy(x->failure, why ? why->text : "");
	answer(x, actual, why);
	if (x->again)
		look(x);
	else if (why)
		arm(x, AGAIN_US);
	else if (x->wanted.n)
		arm(x, LOOK_US);
}

static void on_written(int err, const struct ssi_err *why, const char *out, void *userdata)
{
	struct doors *x = userdata;

	x->child = NULL;
	if (err < 0) {
		settle(x, NULL, why);
		return;
	}
	x->wrote = true;
	look(x);
}

static void write_wanted(struct doors *x)
{
	_cleanup_buf_ struct ssi_buf script = SSI_BUF_INIT;
	char *argv[] = { "nft", "-f", "-", NULL };
	struct ssi_err e;
	int r = doors_script(&x->wanted, x->daemon->opt->http_port, x->daemon->opt->ccm_port, &script);

	if (r < 0)
		ssi_errno(&e, r, "nft's script");
	else
		r = child_start(x->daemon->event, &(struct child_command){ argv, script.data, -1, NFT_MS }, on_written, x, &x->child, &e);
	if (r < 0)
		settle(x, NULL, &e);
}

/* Without a table nft fails, and says nothing on its standard output. */
static void on_looked(int err, const struct ssi_err *why, const char *out, void *userdata)
{
	struct doors *x = userdata;
	_cleanup_doors_ struct doors_list actual = { 0 };
	struct ssi_err e = { 0 };
	bool absent = err == -EIO && !*out;
	int r = absent ? 0 : err < 0 ? err : doors_parse(out, &actual, &e);

	x->child = NULL;
	if (err < 0 && !absent) {
		settle(x, NULL, why);
		return;
	}
	if (r == 0 && doors_list_equal(&actual, &x->wanted) && (x->wanted.n || absent)) {
		settle(x, &actual, NULL);
		return;
	}
	if (x->wrote) {
		if (r == 0)
			ssi_errf(&e, -EIO, "table inet " DOORS_TABLE " is not as it was written just now%s%s", absent ? ": " : "", absent && why ? why->text : "");
		settle(x, NULL, &e);
		return;
	}
	if (x->settled && !x->again)
		events_add(x->daemon->events, "fence-failed", "", "", 0, "%s: somebody opened doors to fenced machines; they are closed again",
			   absent ? "table inet " DOORS_TABLE " was taken away" : r < 0 ? e.text : "table inet " DOORS_TABLE " has other machines in it");
	write_wanted(x);
}

static void look(struct doors *x)
{
	char *argv[] = { "nft", "-j", "list", "table", "inet", DOORS_TABLE, NULL };
	struct ssi_err e;

	if (x->child) {
		x->again = true;
		return;
	}
	x->again = false;
	for (struct waiter *w = x->waiters; w; w = w->next)
		w->now = true;
	sd_event_source_set_enabled(x->timer, SD_EVENT_OFF);
	if (child_start(x->daemon->event, &(struct child_command){ argv, NULL, -1, NFT_MS }, on_looked, x, &x->child, &e) < 0)
		settle(x, NULL, &e);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
	look(userdata);
	return 0;
}

static void want(const char *mac, const char *node, void *userdata)
{
	struct doors *x = userdata;

	if (doors_list_add(&x->wanted, mac) < 0)
		log_error("out of memory for doors");
}

/* What is wanted, from the store; what was as wanted may not be so any more. */
static int recollect(struct doors *x, struct ssi_err *e)
{
	doors_list_free(&x->wanted);
	x->settled = false;
	return state_door_each(x->daemon->state, want, x, e);
}

/* What the store says is closed before anything is served: the host may have started anew, and forgotten all. */
static int close_first(struct doors *x, struct ssi_err *e)
{
	_cleanup_buf_ struct ssi_buf script = SSI_BUF_INIT;
	_cleanup_free_ char *path = ssi_path_join(x->daemon->opt->run, "ssi-fence.nft");
	int r = path ? doors_script(&x->wanted, x->daemon->opt->http_port, x->daemon->opt->ccm_port, &script) : -ENOMEM;

	if (r == 0)
		r = ssi_file_write_atomic(path, script.data, script.len, 0600);
	if (r < 0)
		return ssi_errno(e, r, "the packet filter's script");
	r = ssi_spawn_run((char *[]) { "nft", "-f", path, NULL }, NFT_MS, e);
	unlink(path);
	return r;
}

int doors_new(struct daemon *d, struct doors **ret, struct ssi_err *e)
{
	struct doors *x = calloc(1, sizeof(*x));
	int r;

	if (!x)
		return ssi_errno(e, -ENOMEM, "doors");
	x->daemon = d;
	r = sd_event_add_time_relative(d->event, &x->timer, CLOCK_MONOTONIC, 0, LOOK_SLACK_US, on_timer, x);
	if (r < 0)
		ssi_errno(e, r, "doors");
	else
		r = recollect(x, e);
	if (r < 0) {
		doors_free(x);
		return r;
	}
	if (x->wanted.n && close_first(x, e) < 0)        /* tried again from the loop; a master that serves nobody is no better */
		events_add(d->events, "fence-failed", "", "", 0, "doors to fenced machines are not closed yet: %s", e->text);
	/* Nothing to close, and nothing that could be closed. */
	if (!x->wanted.n && !ssi_spawn_which("nft"))
		sd_event_source_set_enabled(x->timer, SD_EVENT_OFF);
	*ret = x;
	return 0;
}

void doors_free(struct doors *x)
{
	if (!x)
		return;
	child_free(x->child);
	sd_event_source_disable_unref(x->timer);
	while (x->waiters) {
		struct waiter *w = x->waiters;
		struct ssi_err e;

		x->waiters = w->next;
		w->done(w->mac, ssi_errf(&e, -ECANCELED, "ssi-bootsvc is stopping"), &e, w->userdata);
		free(w);
	}
	doors_list_free(&x->wanted);
	free(x);
}

static int change(struct doors *x, const char *mac, const char *node, struct ssi_err *e)
{
	int r = state_begin(x->daemon->state, true, e);

	if (r == 0)
		r = node ? state_door_put(x->daemon->state, mac, node, ssi_clock_wall_ms(), e) : state_door_rm(x->daemon->state, mac, e);
	if (r >= 0)
		r = state_commit(x->daemon->state, e);
	if (r < 0)
		state_rollback(x->daemon->state);
	return r < 0 ? r : recollect(x, e);
}

/* From the loop, never within the caller. */
static void look_soon(struct doors *x)
{
	if (x->child)
		x->again = true;
	else
		arm(x, 0);
}

int doors_close(struct doors *x, const char *mac, const char *node, doors_done done, void *userdata, struct ssi_err *e)
{
	struct waiter *w = calloc(1, sizeof(*w)), **at = &x->waiters;
	int r;

	if (!w)
		return ssi_errno(e, -ENOMEM, "doors");
	r = change(x, mac, node, e);
	if (r < 0) {
		free(w);
		return r;
	}
	w->done = done;
	w->userdata = userdata;
	strcpy(w->mac, mac);
	while (*at)
		at = &(*at)->next;
	*at = w;
	look_soon(x);
	return 0;
}

int doors_open(struct doors *x, const char *mac, struct ssi_err *e)
{
	int r;

	if (!doors_closed(x, mac))
		return 0;
	r = change(x, mac, NULL, e);
	if (r < 0)
		return r;
	look_soon(x);
	return 1;
}

bool doors_closed(const struct doors *x, const char *mac)
{
	return doors_list_has(&x->wanted, mac);
}
