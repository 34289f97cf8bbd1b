/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's story: what is started in which order, and ended in the other. Called by verb-start.c; every part is a file of its own. Nodes keep
 * running, mounted and joined while the daemon is away: nothing here undoes what they stand on.
 */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <unistd.h>
#include <config.h>
#include "bootsvc/control.h"
#include "bootsvc/daemon.h"
#include "bootsvc/discovery.h"
#include "bootsvc/dnsmasq.h"
#include "bootsvc/doors.h"
#include "bootsvc/events.h"
#include "bootsvc/exports.h"
#include "bootsvc/fence.h"
#include "bootsvc/failover.h"
#include "bootsvc/http.h"
#include "bootsvc/images.h"
#include "bootsvc/jobs.h"
#include "bootsvc/members.h"
#include "bootsvc/placement.h"
#include "bootsvc/ra.h"
#include "bootsvc/reload.h"
#include "bootsvc/targets.h"
#include "bootsvc/viewfiles.h"
#include "bootsvc/volumes.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/log.h"
#include "libssi/base/num.h"
#include "libssi/base/path.h"

#define EXPORTS_WAIT_MS 20000
#define SOCKETS_WAIT_MS 2000

const struct ssi_system *daemon_system_at(const struct daemon *d, struct in_addr master, struct in_addr peer)
{
	const struct ssi_registry *r = d->registry;

	for (size_t i = 0; i < r->n_systems; i++)
		if ((peer.s_addr & r->systems[i]->netmask.s_addr) == r->systems[i]->network.s_addr)
			return r->systems[i];
	for (size_t i = 0; i < r->n_systems; i++)
		if (r->systems[i]->master.s_addr == master.s_addr)
			return r->systems[i];
	return NULL;
}

/* A thousand machines at once are as many connections, and some of them a file each. */
static void raise_limits(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < l.rlim_max) {
		l.rlim_cur = l.rlim_max < 65536 ? l.rlim_max : 65536;
		setrlimit(RLIMIT_NOFILE, &l);
	}
}

/* As the verb reload, for those who are used to it; mistakes are in the log. */
static int on_hangup(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
	_cleanup_buf_ struct ssi_buf errors = SSI_BUF_INIT;
	struct reload_stats stats;

	if (reload_run(userdata, &stats, &errors) < 0)
		log_error("nodes.d has mistakes; nothing was changed:\n%s", errors.data ?: "");
	return 0;
}

static int start_loop(struct daemon *d, struct ssi_err *e)
{
	static const int ends[] = { SIGTERM, SIGINT };
	sigset_t set;
	int r;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	r = sd_event_default(&d->event);
	for (size_t i = 0; r >= 0 && i < sizeof(ends) / sizeof(*ends); i++)
		r = sd_event_add_signal(d->event, NULL, ends[i], NULL, NULL);
	if (r >= 0)
		r = sd_event_add_signal(d->event, NULL, SIGHUP, on_hangup, d);
	return r < 0 ? ssi_errno(e, r, "the event loop") : 0;
}

/* A mistake in nodes.d must not keep the master down, nor the nodes that run without it: what is right cannot be told from what is
 * wrong, so the daemon starts only on a whole configuration and says every mistake. */
static int load_registry(struct daemon *d, struct ssi_err *e)
{
	_cleanup_buf_ struct ssi_buf errors = SSI_BUF_INIT;
	struct reload_stats s;
	int r = reload_run(d, &s, &errors);

	if (r < 0) {
		fputs(errors.data ?: "", stderr);
		return ssi_errf(e, r, "nodes.d has mistakes (above): correct them and start again");
	}
	log_info("%zu system%s, %zu node%s, %zu machine%s in %s, read in %llu ms", d->registry->n_systems, ssi_num_plural(d->registry->n_systems),
		 d->registry->n_nodes, ssi_num_plural(d->registry->n_nodes), d->registry->n_machines, ssi_num_plural(d->registry->n_machines),
		 d->opt->config, (unsigned long long)s.ms);
	if (!d->registry->n_systems)
		log_warning("no [system] in %s: nothing is served until there is one (see ssi-nodes.d(5)), then 'ssi-bootsvc reload'", d->opt->config);
	return 0;
}

/* A daemon that was killed in the middle of a fork leaves, for a moment, a child that has its sockets. The first of them that is free
 * says that all are; nothing runs yet that the wait could hold up. */
static int start_http(struct daemon *d, struct ssi_err *e)
{
	uint64_t end = ssi_clock_mono_ms() + SOCKETS_WAIT_MS;
	int r;

	while ((r = http_start(d, &d->http, e)) == -EADDRINUSE && ssi_clock_mono_ms() < end)
		usleep(50 * 1000);
	return r;
}

static int start_services(struct daemon *d, struct ssi_err *e)
{
	int r = doors_new(d, &d->doors, e);      /* before there is anything behind them */

	if (r == 0)
		r = images_new(d, &d->images, e);
	if (r == 0)
		r = exports_new(d, &d->exports, e);
	if (r == 0)
		r = volumes_new(d, &d->volumes, e);
	if (r == 0)
		r = targets_new(d, &d->targets, e);
	if (r == 0 && d->opt->dhcp)
		r = dnsmasq_start(d, &d->dnsmasq, e);
	if (r == 0 && d->opt->dhcp && ra_new(d, &d->ra) < 0)
		log_warning("no memory to answer router solicitations");
	ra_registry_changed(d->ra);
	if (r == 0)
		r = start_http(d, e);
	if (r == 0)
		r = members_listen(d, e);
	if (r == 0)
		r = ssi_power_new(d->event, &d->power) < 0 ? ssi_errf(e, -ENOMEM, "power") : 0;
	if (r == 0)
		r = fence_new(d, &d->fence, e);
	if (r == 0)
		r = failover_new(d, &d->failover, e);
	if (r == 0)
		r = policies_new(d, &d->policies, e);
	if (r == 0)
		r = (d->placements = placements_new()) ? 0 : ssi_errf(e, -ENOMEM, "placements");
	if (r == 0)
		r = viewfiles_new(d, &d->viewfiles, e);
	if (r == 0)
		r = jobs_listen(d->jobs, e);
	if (r == 0)
		r = control_start(d, e);
	if (r == 0)
		images_look(d->images);
	return r;
}

static int daemon_start(struct daemon *d, struct ssi_err *e)
{
	int r = start_loop(d, e);

	raise_limits();
	if (r == 0) {
		r = ssi_path_mkdirs(d->opt->run, 0755);
		if (r < 0)
			ssi_errno(e, r, "%s", d->opt->run);
	}
	if (r == 0)
		r = state_open(d->opt->state, &d->state, e);
	if (r == 0)
		r = events_new(d->state, &d->events) < 0 || discovery_new(&d->discovery) < 0 ? ssi_errf(e, -ENOMEM, "out of memory") : 0;
	if (r == 0)
		r = members_start(d, e);
	if (r == 0)
		r = load_registry(d, e);
	return r == 0 ? start_services(d, e) : r;
}

/* The reverse of the start. The control socket first: who waits for an answer hears that there is none. */
static void daemon_end(struct daemon *d)
{
	ssi_control_server_free(d->control);
	ssi_control_server_free(d->users);
	viewfiles_free(TAKE_PTR(d->viewfiles));
	placements_free(TAKE_PTR(d->placements));
	policies_free(TAKE_PTR(d->policies));
	fence_free(TAKE_PTR(d->fence));
	ssi_power_free(d->power);
	failover_free(d->failover);
	http_free(d->http);
	volumes_free(TAKE_PTR(d->volumes));
	members_stop(d);
	ra_free(d->ra);
	dnsmasq_free(d->dnsmasq);
	targets_free(d->targets);
	exports_free(d->exports);
	images_free(d->images);
	doors_free(d->doors);
	discovery_free(d->discovery);
	events_free(d->events);
	state_close(d->state);
	ssi_registry_free(d->registry);
	sd_event_unref(d->event);
}

static void say_ready(struct daemon *d, int *ready)
{
	events_add(d->events, "start", "", "", 0, "ssi-bootsvc " PACKAGE_VERSION " serves %zu nodes", d->registry->n_nodes);
	sd_notifyf(0, "READY=1\nSTATUS=Serving %zu nodes", d->registry->n_nodes);
	if (*ready < 0)
		return;
	if (write(*ready, "1", 1) < 0)
		log_debug("whoever started this is gone");
	close(TAKE_FD(*ready));
}

/* The unit's word for "started" lets the NFS server start, and that one has nodes waiting that still have files open. */
static int wait_exports(struct daemon *d)
{
	uint64_t until = ssi_clock_mono_ms() + EXPORTS_WAIT_MS;
	int r = 0;

	while (r >= 0 && exports_busy(d->exports) && ssi_clock_mono_ms() < until && sd_event_get_state(d->event) != SD_EVENT_FINISHED)
		r = sd_event_run(d->event, 100 * 1000);
	return r;
}

int daemon_run(const struct bootsvc_options *o, int *ready, struct ssi_err *e)
{
	SSI_CLEANUP(daemon_end) struct daemon d = { .opt = o, .started = ssi_clock_wall_ms() };
	int r = daemon_start(&d, e);

	if (r < 0)
		return r;
	r = wait_exports(&d);
	say_ready(&d, ready);
	if (r >= 0 && sd_event_get_state(d.event) != SD_EVENT_FINISHED)
		r = sd_event_loop(d.event);
	sd_notify(0, "STOPPING=1");
	if (r >= 0)
		exports_end(d.exports);
	events_add(d.events, "stop", "", "", 0, "ssi-bootsvc ends");
	return r < 0 ? ssi_errno(e, r, "the event loop failed") : 0;
}
