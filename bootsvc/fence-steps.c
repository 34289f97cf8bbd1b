/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a fence does, step by step, and by what each counts as proved: never by a command's success, but by looking afterwards. A power controller is asked for the
 * state after it said that it had switched it off; that it lies cannot be seen from here, which is why storage comes first. Called by fence.c.
 */
#include "bootsvc/fence-steps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bootsvc/doors.h"
#include "bootsvc/nfs-clients.h"
#include "bootsvc/targets.h"

/* One step that runs. It is freed by the end of what it waits for, also when nobody waits for it any more (done NULL). */
struct fence_run {
	struct daemon *daemon;
	struct state_fence of;
	fence_step_done done;
	void *userdata;
	struct nfs_clients *nfs;
	sd_event_source *soon;
	char proof[160];
};

static void run_end(struct fence_run *x, int err, const struct ssi_err *why)
{
	sd_event_source_disable_unref(x->soon);
	if (x->done)
		x->done(err, x->proof, why, x->userdata);
	free(x);
}

void fence_step_abandon(struct fence_run *x)
{
	if (!x)
		return;
	x->done = NULL;
	if (!x->soon && !x->nfs)
		return;
	nfs_clients_free(x->nfs);
	run_end(x, -ECANCELED, NULL);
}

/* Without anything to wait for: the answer comes from the loop all the same. */
static int on_soon(sd_event_source *s, void *userdata)
{
	run_end(userdata, 0, NULL);
	return 0;
}

static int soon(struct fence_run *x, const char *proof, struct ssi_err *e)
{
	int r = sd_event_add_defer(x->daemon->event, &x->soon, on_soon, x);

	snprintf(x->proof, sizeof(x->proof), "%s", proof);
	return r < 0 ? ssi_errno(e, r, "the event loop") : 0;
}

static int step_key(struct fence_run *x, struct ssi_err *e)
{
	struct state *s = x->daemon->state;
	struct state_boot b;
	int r = state_begin(s, true, e);

	if (r == 0)
		r = state_boot_end_all(s, x->of.node, e);
	if (r == 0)
		r = state_commit(s, e);
	if (r < 0) {
		state_rollback(s);
		return r;
	}
	r = state_boot_newest(s, x->of.node, &b, e);
	explicit_bzero(b.token, sizeof(b.token));
	explicit_bzero(b.key, sizeof(b.key));
	if (r < 0 && r != -ENOENT)
		return r;
	if (r == 0 && !b.over)
		return ssi_errf(e, -EIO, "the store does not say that its key is over");
	targets_reconcile(x->daemon->targets);
	return soon(x, "the keys of all its boots are over", e);
}

static void on_revoked(const char *node, int err, const struct ssi_err *why, void *userdata)
{
	struct fence_run *x = userdata;

	snprintf(x->proof, sizeof(x->proof), "no iSCSI target has an ACL or a session of it");
	run_end(x, err, why);
}

static int step_iscsi(struct fence_run *x, struct ssi_err *e)
{
	if (!x->daemon->targets)
		return soon(x, "this master has no iSCSI targets", e);
	return targets_revoke(x->daemon->targets, x->of.node, on_revoked, x, e);
}

static void on_closed(const char *mac, int err, const struct ssi_err *why, void *userdata)
{
	struct fence_run *x = userdata;

	snprintf(x->proof, sizeof(x->proof), "the packet filter drops what comes from %s, but for what a boot takes", mac);
	run_end(x, err, why);
}

static int step_door(struct fence_run *x, struct ssi_err *e)
{
	return doors_close(x->daemon->doors, x->of.mac, x->of.node, on_closed, x, e);
}

static void on_expired(int err, unsigned n, const struct ssi_err *why, void *userdata)
{
	struct fence_run *x = userdata;

	if (n)
		snprintf(x->proof, sizeof(x->proof), "the NFS server has no client from its address any more, %u expired", n);
	else
		snprintf(x->proof, sizeof(x->proof), "the NFS server has no client from its address");
	run_end(x, err, why);
}

static int step_nfs(struct fence_run *x, struct ssi_err *e)
{
	return nfs_clients_expire(x->daemon->event, NFS_CLIENTS, x->of.address, on_expired, x, &x->nfs, e);
}

static void on_status(const char *mac, enum ssi_power_action a, int err, int state, const struct ssi_err *why, void *userdata)
{
	struct fence_run *x = userdata;
	struct ssi_err e;

	if (err == 0 && state != 0) {
		err = ssi_errf(&e, -EIO, "the power controller of %s said that it switched it off, and now says that it is on", mac);
		why = &e;
	}
	snprintf(x->proof, sizeof(x->proof), "the power of %s is off, asked for again afterwards", mac);
	run_end(x, err, why);
}

static int power(struct fence_run *x, enum ssi_power_action a, ssi_power_done done, struct ssi_err *e)
{
	const struct ssi_machine *m = ssi_registry_machine(x->daemon->registry, x->of.mac);

	if (!m)
		return ssi_errf(e, -ENOENT, "nodes.d has no section [machine %s] that says how to switch it", x->of.mac);
	return ssi_power_start(x->daemon->power, m, a, done, x, e);
}

static void on_off(const char *mac, enum ssi_power_action a, int err, int state, const struct ssi_err *why, void *userdata)
{
	struct fence_run *x = userdata;
	struct ssi_err e;

	if (err < 0 || !x->done) {
		run_end(x, err, why);
		return;
	}
	err = power(x, SSI_POWER_STATUS, on_status, &e);
	if (err < 0)
		run_end(x, err, &e);
}

static int step_power(struct fence_run *x, struct ssi_err *e)
{
	return power(x, SSI_POWER_OFF, on_off, e);
}

int fence_step_run(struct daemon *d, enum fence_step step, const struct state_fence *f, fence_step_done done, void *userdata, struct fence_run **ret,
		   struct ssi_err *e)
{
	static int (*const steps[FENCE_STEPS])(struct fence_run *x, struct ssi_err *e) = {
		[FENCE_KEY] = step_key, [FENCE_ISCSI] = step_iscsi, [FENCE_DOOR] = step_door, [FENCE_NFS] = step_nfs, [FENCE_POWER] = step_power,
	};
	struct fence_run *x = calloc(1, sizeof(*x));
	int r;

	if (!x)
		return ssi_errno(e, -ENOMEM, "%s", f->node);
	*x = (struct fence_run) { .daemon = d, .of = *f, .done = done, .userdata = userdata };
	r = steps[step](x, e);
	if (r < 0) {
		sd_event_source_disable_unref(x->soon);
		free(x);
		return r;
	}
	*ret = x;
	return 0;
}
