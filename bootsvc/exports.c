/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reconciling: collect what is wanted, compare, run the steps one child at a time, look again. Called when the registry, the
 * store or what nodes run has changed, and when someone else changed the exports.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bootsvc/events.h"
#include "bootsvc/exports-nfsd.h"
#include "bootsvc/exports.h"
#include "bootsvc/nfs-clients.h"
#include "bootsvc/shared.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/log.h"
#include "libssi/base/path.h"
#include "libssi/base/spawn.h"

#define STEP_LIMIT_US (30ull * 1000 * 1000)
#define LOCK_TRIES 5
#define LOCK_AGAIN_US 1000
#define RETRY_FIRST_US (1000ull * 1000)
#define RETRY_LAST_US (30ull * 1000 * 1000)
#define OTHERS_DELAY_US (200 * 1000)
#define END_STEP_MS 5000
#define END_TRIES 10                 /* the server lets go of what it exported a moment later */
#define END_AGAIN_US (100 * 1000)

static const struct exports_ops exports_none = { .name = "none" };
static const struct exports_ops *const backends[] = { &exports_nfsd, &exports_none };

struct exports {
	struct daemon *daemon;
	const struct exports_ops *ops;
	char *root;
	struct export_list wanted;
	struct export_list held;         /* used, but not over NFS; clients are "" */
	struct export_plan plan;
	size_t next;                     /* step of the plan that runs */
	pid_t child;                     /* 0 = none runs */
	int words;                       /* what the child says on standard error */
	bool lacking;                    /* a shared file system could not be exported: the others go on */
	bool again;                      /* something changed while steps ran */
	uint64_t retry_us;               /* backoff; 0 = the last run went well */
	char failure[SSI_ERR_MAX];       /* that was said last */
	sd_event_source *child_source, *limit, *retry, *others;
	int inotify;
};

static void run_next(struct exports *x);

static void client_of(const struct ssi_system *s, char *buf, size_t n)
{
	char a[INET_ADDRSTRLEN];

	snprintf(buf, n, "%s/%u", inet_ntop(AF_INET, &s->network, a, sizeof(a)), s->prefix);
}

struct collect { struct export_list wanted, held; };

static void collect_one(const char *image, const char *generation, const char *root, const struct ssi_system *system, void *userdata)
{
	struct collect *c = userdata;
	char client[32];
	int r;

	client_of(system, client, sizeof(client));
	if (strcmp(root, "nfs") != 0) {
		r = export_list_add(&c->held, image, generation, "");
	} else {
		r = export_list_add(&c->wanted, "", "", client);
		if (r == 0)
			r = export_list_add(&c->wanted, image, generation, client);
	}
	if (r < 0)
		log_error("out of memory for exports");
}

static void collect_shared(const struct ssi_shared *s, const struct ssi_system *system, void *userdata)
{
	struct collect *c = userdata;
	char client[32];
	int r;

	client_of(system, client, sizeof(client));
	r = export_list_add(&c->wanted, "", "", client);
	if (r == 0)
		r = export_list_add_shared(&c->wanted, s, client);
	if (r < 0)
		log_error("out of memory for exports");
}

/* 'ssi-mkimage list' holds the whole lock for an instant, to see whether somebody uses it; who removes it keeps it. */
static int lock_shared(int fd)
{
	int r = flock(fd, LOCK_SH | LOCK_NB);

	for (int i = 0; r < 0 && i < LOCK_TRIES; i++) {
		usleep(LOCK_AGAIN_US);
		r = flock(fd, LOCK_SH | LOCK_NB);
	}
	return r;
}

/* Who uses a generation holds a shared lock on its manifest (doc/store.md): taken over from the old list, or taken now. */
static void lock_all(struct exports *x, struct export_list *fresh, struct export_list *old)
{
	for (size_t i = 0; i < fresh->n; i++) {
		struct export_entry *e = &fresh->e[i], *was = export_list_find(old, e->generation, e->client);

		if (was) {
			e->lock = TAKE_FD(was->lock);
			e->ready = was->ready;
		}
		if (e->lock >= 0 || !e->image[0])
			continue;
		e->lock = images_open_file(x->daemon->images, e->image, e->generation, "manifest.json");
		if (e->lock >= 0 && lock_shared(e->lock) < 0) {
			log_warning("%s/%s is being removed", e->image, e->generation);
			close(TAKE_FD(e->lock));
		}
	}
}

static void failed(struct exports *x, const char *text)
{
	if (strcmp(x->failure, text) != 0)
		events_add(x->daemon->events, "export", "", "", 0, "failed: %s", text);
	snprintf(x->failure, sizeof(x->failure), "%s", text);
	x->retry_us = x->retry_us ? x->retry_us * 2 : RETRY_FIRST_US;
	if (x->retry_us > RETRY_LAST_US)
		x->retry_us = RETRY_LAST_US;
	sd_event_source_set_time_relative(x->retry, x->retry_us);
	sd_event_source_set_enabled(x->retry, SD_EVENT_ONESHOT);
}

/* What is exported by now is ready; the difference becomes a plan. */
static int compare(struct exports *x, struct ssi_err *e)
{
	SSI_CLEANUP(export_view_free) struct export_view actual = { 0 };
	int r = x->ops->actual(x->root, &actual, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < x->wanted.n; i++) {
		struct export_entry *w = &x->wanted.e[i];

		w->ready = export_list_find(&actual.mounts, w->generation, NULL) && export_list_find(&actual.exports, w->generation, w->client);
	}
	export_plan_free(&x->plan);
	x->next = 0;
	x->lacking = false;
	r = export_plan_make(&x->wanted, &actual, &x->plan);
	return r < 0 ? ssi_errno(e, r, "exports") : 0;
}

/* What is exported is what is wanted. */
static void settled(struct exports *x)
{
	x->retry_us = 0;
	x->failure[0] = '\0';
}

static void finish(struct exports *x, bool ok)
{
	bool lacking = x->lacking;
	struct ssi_err e;

	export_plan_free(&x->plan);
	x->next = 0;
	if (ok && compare(x, &e) < 0)
		failed(x, e.text);
	else if (ok && x->plan.n && lacking)
		log_debug("exports: the rest is done");
	else if (ok && x->plan.n)        /* the sign of it came while our own steps gave signs, too (on_others) */
		failed(x, "something else has changed the exports meanwhile (a restart of nfs-server?), once more");
	else if (ok)
		settled(x);
	export_plan_free(&x->plan);
	if (x->again) {
		x->again = false;
		exports_reconcile(x);
	}
}

static void say_step(struct exports *x, const struct export_step *s)
{
	if (s->source[0] && s->what == EXPORT_EXPORT)
		events_add(x->daemon->events, "export", "", "", 0, "%s, shared, to %s%s", s->source, s->client, s->root ? ", with root" : "");
	else if (s->generation[0] && s->what == EXPORT_EXPORT)
		events_add(x->daemon->events, "export", "", "", 0, "%s %s to %s", s->image, s->generation, s->client);
	else if (s->generation[0] && s->what == EXPORT_UNEXPORT)
		events_add(x->daemon->events, "unexport", "", "", 0, "%s to %s: not used any more", s->generation, s->client);
}

/* A folder that is not there, or lies on something that cannot be exported, must keep no root from being: its other steps are left out. */
static void pass_over(struct exports *x)
{
	const struct export_step was = x->plan.steps[x->next];
	size_t kept = x->next;

	for (size_t i = x->next + 1; i < x->plan.n; i++)
		if (strcmp(x->plan.steps[i].generation, was.generation) != 0)
			x->plan.steps[kept++] = x->plan.steps[i];
	x->plan.n = kept;
	x->lacking = true;
}

static void child_failed(struct exports *x, const siginfo_t *si)
{
	const struct export_step *s = &x->plan.steps[x->next];
	char said[256] = "", text[SSI_ERR_MAX];
	ssize_t n = pread(x->words, said, sizeof(said) - 1, 0);

	said[n > 0 ? n : 0] = '\0';
	said[strcspn(said, "\n")] = '\0';
	snprintf(text, sizeof(text), "%s %s: %s%s", s->what <= EXPORT_MOUNT ? "mount" : s->what == EXPORT_UNMOUNT ? "umount" : "exportfs",
		 s->source[0] ? s->source : s->generation[0] ? s->generation : x->root, said[0] ? said : "status ", said[0] ? "" : si->si_code == CLD_EXITED ? "not 0" : "killed");
	failed(x, text);
	if (s->source[0]) {
		pass_over(x);
		run_next(x);
	} else {
		finish(x, false);
	}
}

static int on_child(sd_event_source *src, const siginfo_t *si, void *userdata)
{
	struct exports *x = userdata;

	x->child = 0;
	x->child_source = sd_event_source_unref(x->child_source);
	sd_event_source_set_enabled(x->limit, SD_EVENT_OFF);
	if (si->si_code != CLD_EXITED || si->si_status != 0) {
		child_failed(x, si);
	} else {
		say_step(x, &x->plan.steps[x->next++]);
		run_next(x);
	}
	return 0;
}

static int start_step(struct exports *x, const struct export_step *s, struct ssi_err *e)
{
	struct export_command c;
	struct ssi_spawn_io io = { -1, -1, x->words, NULL, NULL };
	int r = x->ops->command(s, x->root, x->daemon->opt->store, &c, e);

	if (r < 0)
		return r;
	if (ftruncate(x->words, 0) < 0 || lseek(x->words, 0, SEEK_SET) < 0)
		return ssi_errno(e, -errno, "exports");
	r = ssi_spawn(c.argv, &io, SSI_SPAWN_PDEATH, &x->child, e);
	if (r < 0)
		return r;
	r = sd_event_add_child(x->daemon->event, &x->child_source, x->child, WEXITED, on_child, x);
	if (r < 0)
		return ssi_errno(e, r, "%s is not watched", c.argv[0]);
	sd_event_source_set_time_relative(x->limit, STEP_LIMIT_US);
	sd_event_source_set_enabled(x->limit, SD_EVENT_ONESHOT);
	return 0;
}

static void run_next(struct exports *x)
{
	struct ssi_err e;

	if (x->next == x->plan.n) {
		finish(x, true);
	} else if (start_step(x, &x->plan.steps[x->next], &e) < 0) {
		x->child = 0;
		failed(x, e.text);
		finish(x, false);
	}
}

void exports_reconcile(struct exports *x)
{
	struct collect c = { 0 };
	struct ssi_err e;

	images_used(x->daemon->images, collect_one, &c);
	shared_used(x->daemon, false, collect_shared, &c);
	lock_all(x, &c.held, &x->held);
	export_list_free(&x->held);
	x->held = c.held;
	if (x->child) {
		export_list_free(&c.wanted);
		x->again = true;
		return;
	}
	lock_all(x, &c.wanted, &x->wanted);
	export_list_free(&x->wanted);
	x->wanted = c.wanted;
	if (!x->ops->actual) {
		for (size_t i = 0; i < x->wanted.n; i++)
			x->wanted.e[i].ready = true;
		return;
	}
	if (x->ops->note(&x->wanted, x->root, &e) < 0)
		log_warning("%s: should this host start anew while nodes run, they may see errors", e.text);
	if (compare(x, &e) < 0)
		failed(x, e.text);
	else if (x->plan.n)
		run_next(x);
	else
		settled(x);
}

bool exports_ready(const struct exports *x, const char *generation, const char *root, const struct ssi_system *system)
{
	char client[32];
	const struct export_entry *e;

	if (strcmp(root, "nfs") != 0) {
		e = export_list_find(&x->held, generation, "");
		return e && e->lock >= 0;
	}
	client_of(system, client, sizeof(client));
	e = export_list_find(&x->wanted, generation, client);
	return e && e->ready;
}

int exports_shared_ready(struct exports *x, const struct ssi_system *system, struct ssi_err *e)
{
	const char *text = system->shared;
	char client[32], name[SSI_SHARED_NAME];
	struct ssi_shared s;

	if (!*text)
		return 0;
	client_of(system, client, sizeof(client));
	while (ssi_shared_next(&text, &s)) {
		const struct export_entry *w;

		ssi_shared_name(s.path, name);
		w = export_list_find(&x->wanted, name, client);
		if (!w || !w->ready)
			return ssi_errf(e, -EAGAIN, "its shared %s is not exported yet (see 'ssi-bootsvc events' on the master)", s.path);
	}
	return shared_users(x->root, e);
}

/* The steps to what running nodes stand on, one after the other, here and now. */
static int end_steps(struct exports *x, struct ssi_err *e)
{
	struct export_command c;
	int r = compare(x, e);

	for (; r == 0 && x->next < x->plan.n; x->next++) {
		r = x->ops->command(&x->plan.steps[x->next], x->root, x->daemon->opt->store, &c, e);
		if (r == 0)
			r = ssi_spawn_run(c.argv, END_STEP_MS, e);
		if (r == 0)
			say_step(x, &x->plan.steps[x->next]);
	}
	return r;
}

static void end_child(struct exports *x)
{
	if (x->child <= 0)
		return;
	x->child_source = sd_event_source_disable_unref(x->child_source);
	kill(x->child, SIGKILL);
	ssi_spawn_wait(x->child);
	x->child = 0;
}

bool exports_busy(const struct exports *x)
{
	return x && x->child > 0;
}

/* Is this the address of a node that is off? */
static bool is_off(struct in_addr address, void *userdata)
{
	const struct daemon *d = userdata;

	for (size_t i = 0; i < d->registry->n_nodes; i++) {
		const struct ssi_node *n = d->registry->nodes[i];
		const struct ssi_head_node *h = n->address.s_addr == address.s_addr ? ssi_head_node(d->head, n->name) : NULL;

		if (h)
			return h->state == SSI_NODE_OFF;
	}
	return false;
}

void exports_end(struct exports *x)
{
	struct collect c = { 0 };
	struct ssi_err e = { 0 };
	int r = -EAGAIN;

	if (!x || !x->ops->actual)
		return;
	end_child(x);
	images_running(x->daemon->images, collect_one, &c);
	shared_used(x->daemon, true, collect_shared, &c);
	lock_all(x, &c.wanted, &x->wanted);
	export_list_free(&x->wanted);
	export_list_free(&c.held);
	x->wanted = c.wanted;
	if (x->ops->note(&x->wanted, x->root, &e) < 0)
		log_warning("%s", e.text);
	for (int i = 0; r < 0 && i < END_TRIES; i++) {
		/* A machine that lost its power has said goodbye to nobody: the server keeps open what it had open. */
		if (i && nfs_clients_expire_gone(NFS_CLIENTS, is_off, x->daemon) <= 0)
			usleep(END_AGAIN_US);
		r = end_steps(x, &e);
	}
	if (r == 0 && !x->wanted.n)
		umount2(x->root, MNT_DETACH);
	if (r < 0)
		log_warning("not all exports that no node needs could be taken away: %s", e.text);
}

static int on_limit(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct exports *x = userdata;

	if (x->child > 0)
		kill(x->child, SIGKILL);
	return 0;
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata)
{
	exports_reconcile(userdata);
	return 0;
}

/* nfs-server.service, started again, forgets exports that stand in no file (exportfs -r). */
static int on_others(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct exports *x = userdata;
	char buf[4096];

	while (read(fd, buf, sizeof(buf)) > 0)
		;
	if (!x->child && !x->retry_us) {
		sd_event_source_set_time_relative(x->retry, OTHERS_DELAY_US);
		sd_event_source_set_enabled(x->retry, SD_EVENT_ONESHOT);
	}
	return 0;
}

static int watch_others(struct exports *x)
{
	if (!x->ops->watch)
		return 0;
	x->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (x->inotify < 0)
		return -errno;
	if (inotify_add_watch(x->inotify, x->ops->watch, IN_MOVED_TO | IN_CLOSE_WRITE) < 0)
		log_warning("%s: %m: is the NFS server (nfs-kernel-server) installed?", x->ops->watch);
	return sd_event_add_io(x->daemon->event, &x->others, x->inotify, EPOLLIN, on_others, x);
}

static int timer_new(struct exports *x, sd_event_source **ret, sd_event_time_handler_t fn)
{
	int r = sd_event_add_time_relative(x->daemon->event, ret, CLOCK_MONOTONIC, 0, 10000, fn, x);

	return r < 0 ? r : sd_event_source_set_enabled(*ret, SD_EVENT_OFF);
}

static void exports_freep(struct exports **x)
{
	exports_free(*x);
}

int exports_new(struct daemon *d, struct exports **ret, struct ssi_err *e)
{
	SSI_CLEANUP(exports_freep) struct exports *x = calloc(1, sizeof(*x));
	int r;

	if (!x)
		return ssi_errno(e, -ENOMEM, "exports");
	*x = (struct exports) { .daemon = d, .words = -1, .inotify = -1 };
	for (size_t i = 0; i < sizeof(backends) / sizeof(*backends); i++)
		if (strcmp(backends[i]->name, d->opt->exports) == 0)
			x->ops = backends[i];
	x->root = ssi_path_join(d->opt->run, "export");
	x->words = memfd_create("exports", MFD_CLOEXEC);
	if (!x->ops || !x->root || x->words < 0)
		return ssi_errno(e, !x->ops ? -EINVAL : -ENOMEM, "exports '%s'", d->opt->exports);
	if (!x->ops->actual)
		log_notice("--exports none: root file systems are NOT exported by this daemon; something else has to");
	r = timer_new(x, &x->limit, on_limit);
	if (r >= 0)
		r = timer_new(x, &x->retry, on_retry);
	if (r >= 0)
		r = watch_others(x);
	if (r < 0)
		return ssi_errno(e, r, "exports");
	*ret = TAKE_PTR(x);
	return 0;
}

void exports_free(struct exports *x)
{
	if (!x)
		return;
	sd_event_source_disable_unref(x->child_source);
	sd_event_source_disable_unref(x->limit);
	sd_event_source_disable_unref(x->retry);
	sd_event_source_disable_unref(x->others);
	ssi_cleanup_close(&x->words);
	ssi_cleanup_close(&x->inotify);
	export_plan_free(&x->plan);
	export_list_free(&x->wanted);
	export_list_free(&x->held);
	free(x->root);
	free(x);
}
