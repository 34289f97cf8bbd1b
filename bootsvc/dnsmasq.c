/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files and life of the dnsmasq child. It runs as the user dnsmasq with the three capabilities it needs from its first
 * instruction (setpriv): a process that drops root later loses its parent-death signal.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bootsvc/dnsmasq-conf.h"
#include "bootsvc/dnsmasq.h"
#include "bootsvc/events.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/fd.h"
#include "libssi/base/file.h"
#include "libssi/base/log.h"
#include "libssi/base/path.h"
#include "libssi/base/spawn.h"

#define TFTP_DIR "/usr/lib/ipxe"         /* of Debian's package ipxe */
#define CAPS "+net_admin,+net_raw,+net_bind_service"
#define BACKOFF_FIRST_MS 200
#define BACKOFF_LAST_MS 30000
#define STEADY_MS 10000                  /* a child that ran this long begins again with the shortest backoff */
#define HUP_DELAY_MS 100                 /* many changes, one signal */
#define HUP_AFTER_START_MS 1000          /* before it has its handlers a SIGHUP would end it */

struct dnsmasq {
	struct daemon *daemon;
	char *conf, *hosts, *leases;
	pid_t child;                     /* 0 = none */
	bool wanted, ending;             /* ending: told to, for another configuration */
	uint64_t started_ms, backoff_ms;
	sd_event_source *child_source, *again, *hup;
};

static void child_start(struct dnsmasq *q);

static void timer_in(sd_event_source *s, uint64_t ms)
{
	sd_event_source_set_time_relative(s, ms * 1000);
	sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

/* Host files. They are made anew from the state at each start, so they are not synced. */

static int host_write(struct dnsmasq *q, const char *mac, const struct ssi_node *n)
{
	_cleanup_free_ char *path = ssi_path_join(q->hosts, mac);
	_cleanup_buf_ struct ssi_buf text = SSI_BUF_INIT, tmp = SSI_BUF_INIT;
	_cleanup_free_ char *old = NULL;
	_cleanup_close_ int fd = -1;
	int r = dnsmasq_host(n, mac, &text);

	if (r < 0 || !path || ssi_buf_addf(&tmp, "%s/.%s", q->hosts, mac) < 0)
		return -ENOMEM;
	if (ssi_file_read(path, 4096, &old, NULL) == 0 && strcmp(old, text.data) == 0)
		return 0;
	fd = open(tmp.data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	r = ssi_fd_write_all(fd, text.data, text.len);
	close(TAKE_FD(fd));              /* before it has its name: dnsmasq reads a file for each of the two events */
	if (r == 0 && rename(tmp.data, path) < 0)
		r = -errno;
	return r < 0 ? r : 1;
}

static int host_remove(struct dnsmasq *q, const char *name)
{
	_cleanup_free_ char *path = ssi_path_join(q->hosts, name);

	return path && unlink(path) == 0;
}

/* In proxy mode another server gives the addresses: no file. */
static const struct ssi_node *node_of(struct dnsmasq *q, const char *mac)
{
	const struct ssi_node *n;
	char name[64];

	if (state_node_of(q->daemon->state, mac, name, NULL) < 0)
		return NULL;
	n = ssi_registry_node(q->daemon->registry, name);
	return n && n->system->dhcp == SSI_DHCP_SERVER ? n : NULL;
}

/* 1 = changed */
static int host_follow(struct dnsmasq *q, const char *mac)
{
	const struct ssi_node *n = node_of(q, mac);
	int r = n ? host_write(q, mac, n) : host_remove(q, mac);

	if (r < 0)
		log_error("%s/%s: %s", q->hosts, mac, strerror(-r));
	return r;
}

void dnsmasq_machine_changed(struct dnsmasq *q, const char *mac)
{
	uint64_t now = ssi_clock_mono_ms(), at = HUP_DELAY_MS;

	if (!q || host_follow(q, mac) <= 0 || q->child <= 0 || sd_event_source_get_enabled(q->hup, NULL) > 0)
		return;
	if (now < q->started_ms + HUP_AFTER_START_MS)
		at = q->started_ms + HUP_AFTER_START_MS - now;
	timer_in(q->hup, at);
}

static void write_bound(const struct state_machine *m, void *userdata)
{
	if (m->node[0])
		host_follow(userdata, m->mac);
}

/* What is there and bound no more goes; what is bound and not there comes. */
static int hosts_follow(struct dnsmasq *q, struct ssi_err *e)
{
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *f;
	int r = ssi_path_mkdirs(q->hosts, 0755);

	dir = r < 0 ? NULL : opendir(q->hosts);
	if (!dir)
		return ssi_errno(e, r < 0 ? r : -errno, "%s", q->hosts);
	while ((f = readdir(dir)))
		if (f->d_type == DT_REG && (f->d_name[0] == '.' || !node_of(q, f->d_name)))
			host_remove(q, f->d_name);
	return state_machine_each(q->daemon->state, write_bound, q, e);
}

/* The child. */

/* May a child become another user here? Not as an ordinary user, nor in a user namespace that has only ourselves. */
static bool can_become(const char *user)
{
	char map[64];
	unsigned inside, outside, count;

	return geteuid() == 0 && getpwnam(user) && ssi_file_read_line("/proc/self/uid_map", map, sizeof(map)) == 0 &&
	       sscanf(map, "%u %u %u", &inside, &outside, &count) == 3 && count > 65536 && ssi_spawn_which("setpriv") > 0;
}

static int spawn(struct dnsmasq *q, struct ssi_err *e)
{
	_cleanup_buf_ struct ssi_buf conf = SSI_BUF_INIT, gid = SSI_BUF_INIT;
	const struct passwd *pw;
	char *argv[16];
	size_t n = 0;

	if (can_become("dnsmasq") && (pw = getpwnam("dnsmasq"))) {
		ssi_buf_addf(&gid, "--regid=%u", pw->pw_gid);
		if (chown(q->leases, pw->pw_uid, (gid_t)-1) < 0)
			log_warning("%s: %m", q->leases);
		for (const char *const *w = (const char *const[]) { "setpriv", "--reuid=dnsmasq", "--clear-groups", "--inh-caps=" CAPS,
								    "--ambient-caps=" CAPS, "--pdeathsig=TERM", NULL }; *w; w++)
			argv[n++] = (char *)*w;
		argv[n++] = gid.data;
	}
	ssi_buf_addf(&conf, "--conf-file=%s", q->conf);
	argv[n++] = (char *)"dnsmasq";
	argv[n++] = (char *)"--keep-in-foreground";
	argv[n++] = (char *)"--log-facility=-";
	argv[n++] = (char *)"--pid-file=";
	/* An empty group is left alone: changing it would take away the parent-death signal, where it is allowed at all. */
	if (geteuid() == 0 && !gid.data)
		for (const char *const *w = (const char *const[]) { "--user=root", "--group=", NULL }; *w; w++)
			argv[n++] = (char *)*w;
	argv[n++] = conf.data;
	argv[n] = NULL;
	return conf.err || gid.err ? -ENOMEM : ssi_spawn(argv, NULL, SSI_SPAWN_PDEATH, &q->child, e);
}

static int on_child(sd_event_source *s, const siginfo_t *si, void *userdata)
{
	struct dnsmasq *q = userdata;
	bool ending = q->ending;

	q->child = 0;
	q->ending = false;
	q->child_source = sd_event_source_unref(q->child_source);
	sd_event_source_set_enabled(q->hup, SD_EVENT_OFF);
	if (!q->wanted)
		return 0;
	if (ending) {
		child_start(q);
		return 0;
	}
	if (ssi_clock_mono_ms() - q->started_ms >= STEADY_MS)
		q->backoff_ms = BACKOFF_FIRST_MS;
	events_add(q->daemon->events, "dhcp", "", "", 0, "dnsmasq ended with %s %d, started again in %llu ms (its words are in the log)",
		   si->si_code == CLD_EXITED ? "status" : "signal", si->si_status, (unsigned long long)q->backoff_ms);
	timer_in(q->again, q->backoff_ms);
	q->backoff_ms = q->backoff_ms * 2 > BACKOFF_LAST_MS ? BACKOFF_LAST_MS : q->backoff_ms * 2;
	return 0;
}

static void child_start(struct dnsmasq *q)
{
	struct ssi_err e;
	int r = spawn(q, &e);

	q->started_ms = ssi_clock_mono_ms();
	if (r == 0) {
		r = sd_event_add_child(q->daemon->event, &q->child_source, q->child, WEXITED, on_child, q);
		if (r < 0)
			ssi_errno(&e, r, "dnsmasq is not watched");
	}
	if (r < 0) {
		events_add(q->daemon->events, "dhcp", "", "", 0, "dnsmasq cannot be started: %s", e.text);
		q->child = 0;
		timer_in(q->again, BACKOFF_LAST_MS);
	}
}

static int on_again(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct dnsmasq *q = userdata;

	if (q->wanted && q->child == 0)
		child_start(q);
	return 0;
}

static int on_hup(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct dnsmasq *q = userdata;

	if (q->child > 0)
		kill(q->child, SIGHUP);
	return 0;
}

/* 1 = the configuration differs from what was there. */
static int conf_follow(struct dnsmasq *q, struct ssi_err *e)
{
	struct dnsmasq_paths p = { q->hosts, q->leases, TFTP_DIR, q->daemon->opt->http_port };
	_cleanup_buf_ struct ssi_buf text = SSI_BUF_INIT;
	int r = dnsmasq_conf(q->daemon->registry, &p, &text);

	if (r == 0)
		r = ssi_file_write_if_changed(q->conf, text.data, text.len, 0644);
	q->wanted = q->daemon->registry->n_systems > 0;
	return r < 0 ? ssi_errno(e, r, "%s", q->conf) : r;
}

void dnsmasq_registry_changed(struct dnsmasq *q)
{
	struct ssi_err e;
	int r;

	if (!q)
		return;
	r = conf_follow(q, &e);
	if (r < 0)
		log_error("%s", e.text);
	if (r <= 0)
		return;
	if (hosts_follow(q, &e) < 0)     /* a system may have gone from one mode to the other */
		log_error("%s", e.text);
	if (q->child > 0) {
		q->ending = true;
		kill(q->child, SIGTERM);
	} else if (q->wanted) {
		sd_event_source_set_enabled(q->again, SD_EVENT_OFF);
		child_start(q);
	}
	if (q->wanted)
		events_add(q->daemon->events, "dhcp", "", "", 0, "dnsmasq %s: a system has changed", q->child > 0 ? "restarted" : "started");
}

static int leases_make(struct dnsmasq *q, struct ssi_err *e)
{
	_cleanup_close_ int fd = open(q->leases, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);

	return fd < 0 ? ssi_errno(e, -errno, "%s", q->leases) : 0;
}

static void dnsmasq_freep(struct dnsmasq **q)
{
	dnsmasq_free(*q);
}

int dnsmasq_start(struct daemon *d, struct dnsmasq **ret, struct ssi_err *e)
{
	SSI_CLEANUP(dnsmasq_freep) struct dnsmasq *q = calloc(1, sizeof(*q));
	int r;

	if (!q)
		return ssi_errno(e, -ENOMEM, "dnsmasq");
	*q = (struct dnsmasq) { .daemon = d, .backoff_ms = BACKOFF_FIRST_MS };
	q->conf = ssi_path_join(d->opt->run, "dnsmasq.conf");
	q->hosts = ssi_path_join(d->opt->run, "dnsmasq.hosts");
	q->leases = ssi_path_join(d->opt->state, "dnsmasq.leases");
	if (!q->conf || !q->hosts || !q->leases)
		return ssi_errno(e, -ENOMEM, "dnsmasq");
	r = sd_event_add_time_relative(d->event, &q->again, CLOCK_MONOTONIC, 0, 10000, on_again, q);
	if (r >= 0)
		r = sd_event_source_set_enabled(q->again, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_time_relative(d->event, &q->hup, CLOCK_MONOTONIC, 0, 10000, on_hup, q);
	if (r >= 0)
		r = sd_event_source_set_enabled(q->hup, SD_EVENT_OFF);
	if (r < 0)
		return ssi_errno(e, r, "dnsmasq");
	if (access(TFTP_DIR "/undionly.kpxe", R_OK) < 0)
		log_warning(TFTP_DIR ": no iPXE binaries: machines whose firmware is not iPXE cannot boot (install the package ipxe)");
	r = leases_make(q, e);
	if (r == 0)
		r = conf_follow(q, e);
	if (r >= 0)
		r = hosts_follow(q, e);
	if (r < 0)
		return r;
	if (q->wanted)
		child_start(q);
	*ret = TAKE_PTR(q);
	return 0;
}

void dnsmasq_free(struct dnsmasq *q)
{
	if (!q)
		return;
	q->wanted = false;
	sd_event_source_disable_unref(q->child_source);
	sd_event_source_disable_unref(q->again);
	sd_event_source_disable_unref(q->hup);
	if (q->child > 0) {
		kill(q->child, SIGTERM);
		ssi_spawn_wait(q->child);
	}
	free(q->conf);
	free(q->hosts);
	free(q->leases);
	free(q);
}
