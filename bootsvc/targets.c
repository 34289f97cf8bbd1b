/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Collects what is wanted and lets a child look and take the steps (targets-steps.c), which may wait in the kernel for minutes. What the last child saw at its end is what the
 * daemon knows of configfs. Called when the registry, the store or what nodes run has changed. What it does not do well: the whole is looked at for one node's change
 * (glob(7) over configfs).
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bootsvc/events.h"
#include "bootsvc/images.h"
#include "bootsvc/targets-steps.h"
#include "bootsvc/targets.h"
#include "bootsvc/volumes.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/log.h"
#include "libssi/base/path.h"

#define STOP_MS 10000
#define STEPS_LIMIT_US (30ull * 1000 * 1000)
#define LEAVE_MS (180ull * 1000)         /* that a node may take to go down */
#define RETRY_FIRST_US (1000ull * 1000)
#define RETRY_LAST_US (30ull * 1000 * 1000)

struct revoke {
	struct revoke *next;
	char node[64];
	bool begun;                      /* the child that runs, or ran, knows of it */
	targets_done done;
	void *userdata;
};

struct targets {
	struct daemon *daemon;
	struct target_items wanted, actual;
	bool known;                      /* actual is what a child has seen */
	bool again;                      /* something changed while a child was at it */
	pid_t child;                     /* 0 = none */
	bool late;                       /* it takes too long; nobody waits for it any more */
	int words, seen;                 /* what it failed at, and what it saw */
	struct revoke *revokes;          /* asked for and not told of yet */
	sd_event_source *settle;         /* tells of those that need no child */
	uint64_t retry_us;               /* backoff; 0 = the last run went well */
	char failure[SSI_ERR_MAX];       /* that was said last */
	sd_event_source *child_source, *limit, *retry;
};

static pid_t begin_steps(const struct targets *t, const struct targets_job *job)
{
	struct ssi_err e = { 0 };
	sigset_t none;
	pid_t parent = getpid(), pid;

	if (ftruncate(t->words, 0) < 0 || ftruncate(t->seen, 0) < 0 || lseek(t->seen, 0, SEEK_SET) < 0)
		return -errno;
	pid = fork();
	if (pid != 0)
		return pid < 0 ? -errno : pid;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)             /* it died before we asked */
		_exit(1);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (targets_steps_take(job, t->seen, &e) < 0) {
		(void)!pwrite(t->words, e.text, strlen(e.text), 0);
		_exit(1);
	}
	_exit(0);
}

/* ---- what is wanted ---- */

static int want_system(struct target_items *l, const struct ssi_system *system)
{
	const struct in_addr portals[] = { system->master, system->portal };

	return targets_want_system(l, system->name, portals, system->portal.s_addr ? 2 : 1);
}

struct collect {
	struct target_items *to;
	struct targets *t;
	uint64_t now, again;             /* wall clock; when something will be wanted no more, 0: never */
	int r;
};

static void want_image(struct collect *c, const char *image, const char *generation, const struct ssi_system *system)
{
	_cleanup_free_ char *folder = ssi_path_join3(c->t->daemon->opt->store, image, generation);
	_cleanup_free_ char *file = folder ? ssi_path_join(folder, "root.erofs") : NULL;

	c->r = file ? targets_want_image(c->to, &c->t->actual, system->name, generation, file) : -ENOMEM;
	if (c->r == 0)
		c->r = want_system(c->to, system);
}

static void want_generation(const char *image, const char *generation, const char *root, const struct ssi_system *system, void *userdata)
{
	struct collect *c = userdata;

	if (c->r == 0 && strcmp(root, "iscsi") == 0)
		want_image(c, image, generation, system);
}

static bool revoked(const struct targets *t, const char *node)
{
	for (const struct revoke *v = t->revokes; v; v = v->next)
		if (strcmp(v->node, node) == 0)
			return true;
	return false;
}

static void want_door(struct collect *c, const struct ssi_node *n, const struct state_boot *b, const struct volume_lun *volume)
{
	char secret[SSI_ISCSI_SECRET];
	struct target_door door = {
		.system = n->system->name, .node = n->name, .incarnation = b->incarnation, .secret = secret, .number = n->number,
		.generation = strcmp(b->root, "iscsi") == 0 ? b->generation : NULL,
		.volume = volume ? volume->path : NULL, .uuid = volume ? volume->uuid : NULL,
	};

	/* Its image is wanted as long as its door is, whatever else uses it. */
	if (door.generation)
		want_image(c, b->image, b->generation, n->system);
	else
		c->r = want_system(c->to, n->system);
	if (c->r == 0)
		c->r = ssi_iscsi_secret(b->key, secret);
	if (c->r == 0)
		c->r = targets_want_door(c->to, &c->t->actual, &door);
	explicit_bzero(secret, sizeof(secret));
}

/* A boot that has said goodbye reads its image for a while yet. What has a state volume keeps its door until volumes.c takes the volume away: it may have to write back. */
static bool leaves(struct collect *c, const struct state_boot *b, uint64_t since)
{
	uint64_t end = since + LEAVE_MS;

	if (!b->left || b->state[0])
		return true;
	if (c->now >= end)
		return false;
	if (!c->again || end < c->again)
		c->again = end;
	return true;
}

static void want_boot(const struct state_boot *b, uint64_t since, void *userdata)
{
	struct collect *c = userdata;
	const struct ssi_node *n = ssi_registry_node(c->t->daemon->registry, b->node);

	if (c->r == 0 && n && !revoked(c->t, b->node) && leaves(c, b, since))
		want_door(c, n, b, NULL);
}

static void want_volume(const struct volume_lun *l, void *userdata)
{
	struct collect *c = userdata;
	const struct ssi_node *n = ssi_registry_node(c->t->daemon->registry, l->node);
	struct state_boot b;

	if (c->r < 0 || !n || revoked(c->t, l->node) || state_boot_get(c->t->daemon->state, l->node, l->incarnation, &b, NULL) < 0)
		return;
	if (b.used && (!b.over || b.left))
		want_door(c, n, &b, l);
	explicit_bzero(&b, sizeof(b));
}

static int collect(struct targets *t, struct target_items *ret)
{
	struct collect c = { .to = ret, .t = t, .now = ssi_clock_wall_ms() };

	images_used(t->daemon->images, want_generation, &c);
	if (c.r == 0 && state_doors(t->daemon->state, want_boot, &c, NULL) < 0)
		c.r = -EIO;
	if (c.r == 0 && volumes_wanted(t->daemon, want_volume, &c, NULL) < 0)
		c.r = -EIO;
	if (c.r == 0 && c.again) {
		sd_event_source_set_time_relative(t->retry, (c.again - c.now + 1) * 1000);
		sd_event_source_set_enabled(t->retry, SD_EVENT_ONESHOT);
	}
	return c.r;
}

static void failed(struct targets *t, const char *text)
{
	if (strcmp(t->failure, text) != 0)
		events_add(t->daemon->events, "export", "", "", 0, "iSCSI failed: %s", text);
	snprintf(t->failure, sizeof(t->failure), "%s", text);
	t->retry_us = t->retry_us ? t->retry_us * 2 : RETRY_FIRST_US;
	if (t->retry_us > RETRY_LAST_US)
		t->retry_us = RETRY_LAST_US;
	sd_event_source_set_time_relative(t->retry, t->retry_us);
	sd_event_source_set_enabled(t->retry, SD_EVENT_ONESHOT);
}

/* Is a boot of this node still let in, or being let out? */
static bool door_is_there(const struct targets *t, const char *node)
{
	for (size_t i = 0; i < t->actual.n; i++)
		if (targets_is_door(t->actual.i[i].path, node))
			return true;
	return false;
}

/* Tells of every revocation that a child that ended knew of, as it has seen it, and of every one that has no door; why: what else came between. */
static void tell_revokes(struct targets *t, const char *why)
{
	struct revoke *told = NULL, **at = &t->revokes;
	struct ssi_err e = { 0 };

	while (*at) {
		struct revoke *v = *at;

		if (!v->begun && (!t->known || door_is_there(t, v->node))) {
			at = &v->next;
			continue;
		}
		*at = v->next;
		v->next = told;
		told = v;
	}
	/* The list is in order again: what is told may ask anew. */
	for (struct revoke *v = told, *next; v; v = next) {
		int err = t->known && !t->late && !door_is_there(t, v->node) ? 0
			: ssi_errf(&e, -EBUSY, "the iSCSI target may still let %s in%s%s", v->node, why[0] ? ": " : "", why);

		next = v->next;
		v->done(v->node, err, err < 0 ? &e : NULL, v->userdata);
		free(v);
	}
}

static void take_seen(struct targets *t)
{
	struct target_items seen = { 0 };

	t->known = targets_steps_seen(t->seen, &seen) == 0;
	targets_items_free(&t->actual);
	t->actual = seen;
}

static int on_child(sd_event_source *src, const siginfo_t *si, void *userdata)
{
	struct targets *t = userdata;
	char said[SSI_ERR_MAX] = "it took too long";
	ssize_t n;

	t->child = 0;
	t->late = false;
	t->child_source = sd_event_source_unref(t->child_source);
	sd_event_source_set_enabled(t->limit, SD_EVENT_OFF);
	take_seen(t);
	if (si->si_code != CLD_EXITED || si->si_status != 0 || !t->known) {
		n = pread(t->words, said, sizeof(said) - 1, 0);
		if (n > 0)
			said[n] = '\0';
		failed(t, said);
	} else {
		t->retry_us = 0;
		t->failure[0] = '\0';
	}
	tell_revokes(t, t->failure);
	if (t->again)
		targets_reconcile(t);
	return 0;
}

static void run(struct targets *t, const struct targets_job *job)
{
	int r;

	t->child = begin_steps(t, job);
	if (t->child < 0) {
		failed(t, strerror(-t->child));
		t->child = 0;
		return;
	}
	r = sd_event_add_child(t->daemon->event, &t->child_source, t->child, WEXITED, on_child, t);
	if (r < 0)
		log_error("iSCSI targets: their child is not watched: %s", strerror(-r));
	if (job->wanted)
		for (struct revoke *v = t->revokes; v; v = v->next)
			v->begun = true;
	sd_event_source_set_time_relative(t->limit, STEPS_LIMIT_US);
	sd_event_source_set_enabled(t->limit, SD_EVENT_ONESHOT);
}

/* Some door of this node is there, and none is to be: its machine's connections are of no use. A machine that is silent has none either. */
static bool is_gone(const struct targets *t, const struct ssi_node *n)
{
	const struct ssi_head_node *h = ssi_head_node(t->daemon->head, n->name);

	if (h && h->state == SSI_NODE_DETACHED)
		return true;
	if (!door_is_there(t, n->name))
		return false;
	for (size_t i = 0; i < t->wanted.n; i++)
		if (targets_is_door(t->wanted.i[i].path, n->name))
			return false;
	return true;
}

/* The caller frees it. */
static struct in_addr *addresses_gone(const struct targets *t, size_t *ret_n)
{
	const struct ssi_registry *reg = t->daemon->registry;
	struct in_addr *gone = calloc(reg->n_nodes + 1, sizeof(*gone));

	*ret_n = 0;
	for (size_t i = 0; gone && i < reg->n_nodes; i++)
		if (is_gone(t, reg->nodes[i]))
			gone[(*ret_n)++] = reg->nodes[i]->address;
	return gone;
}

void targets_reconcile(struct targets *t)
{
	SSI_CLEANUP(targets_items_free) struct target_items wanted = { 0 };
	_cleanup_free_ struct in_addr *gone = NULL;
	size_t n_gone;
	int r;

	t->again = t->child != 0 || !t->known;
	if (t->child)
		return;
	if (!t->known) {
		run(t, &(struct targets_job){ 0 });
		return;
	}
	r = collect(t, &wanted);
	if (r < 0) {
		failed(t, strerror(-r));
		return;
	}
	targets_items_free(&t->wanted);
	t->wanted = wanted;
	wanted = (struct target_items){ 0 };
	gone = addresses_gone(t, &n_gone);
	if (t->wanted.n || t->actual.n)
		run(t, &(struct targets_job){ .wanted = &t->wanted, .hang_up = n_gone, .gone = gone, .n_gone = n_gone });
	else
		t->retry_us = 0;
	if (t->revokes && !t->child)
		sd_event_source_set_enabled(t->settle, SD_EVENT_ONESHOT);
}

/* Of those that need no child, and of those that come while one is late. */
static int on_settle(sd_event_source *s, void *userdata)
{
	struct targets *t = userdata;

	if (t->late)
		for (struct revoke *v = t->revokes; v; v = v->next)
			v->begun = true;
	if (!t->child || t->late)
		tell_revokes(t, t->late ? "what was asked of it before takes too long" : t->failure);
	return 0;
}

int targets_revoke(struct targets *t, const char *node, targets_done done, void *userdata, struct ssi_err *e)
{
	struct revoke *v = calloc(1, sizeof(*v));

	if (!v)
		return ssi_errno(e, -ENOMEM, "iSCSI targets of %s", node);
	snprintf(v->node, sizeof(v->node), "%s", node);         /* a name has at most 63 bytes */
	v->done = done;
	v->userdata = userdata;
	v->next = t->revokes;
	t->revokes = v;
	targets_reconcile(t);
	if (t->late)
		sd_event_source_set_enabled(t->settle, SD_EVENT_ONESHOT);
	return 0;
}

bool targets_ready(const struct targets *t, const char *generation, const struct ssi_system *system)
{
	return t->known && targets_lun(&t->actual, system->name, generation);
}

static int on_limit(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct targets *t = userdata;

	if (t->child > 0)
		kill(t->child, SIGKILL);
	/* The kernel may hold it all the same, waiting for a session: who asked must not wait for that. */
	t->late = true;
	return on_settle(s, userdata);
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata)
{
	targets_reconcile(userdata);
	return 0;
}

static int timer_new(struct targets *t, sd_event_source **ret, sd_event_time_handler_t fn)
{
	int r = sd_event_add_time_relative(t->daemon->event, ret, CLOCK_MONOTONIC, 0, 10000, fn, t);

	return r < 0 ? r : sd_event_source_set_enabled(*ret, SD_EVENT_OFF);
}

int targets_new(struct daemon *d, struct targets **ret, struct ssi_err *e)
{
	struct targets *t = calloc(1, sizeof(*t));
	int r = t ? 0 : -ENOMEM;

	if (r == 0) {
		t->daemon = d;
		t->words = memfd_create("targets", MFD_CLOEXEC);
		t->seen = memfd_create("targets-seen", MFD_CLOEXEC);
		r = t->words < 0 || t->seen < 0 ? -errno : timer_new(t, &t->limit, on_limit);
	}
	if (r >= 0)
		r = timer_new(t, &t->retry, on_retry);
	if (r >= 0)
		r = sd_event_add_defer(d->event, &t->settle, on_settle, t);
	if (r >= 0)
		r = sd_event_source_set_enabled(t->settle, SD_EVENT_OFF);
	if (r < 0) {
		targets_free(t);
		return ssi_errno(e, r, "iSCSI targets");
	}
	*ret = t;
	return 0;
}

/* Has it ended within ms? If not it is killed, and dies when the kernel lets it. */
static bool wait_for(pid_t pid, unsigned ms)
{
	uint64_t end = ssi_clock_mono_ms() + ms;

	while (waitpid(pid, NULL, WNOHANG) == 0) {
		if (ssi_clock_mono_ms() >= end) {
			kill(pid, SIGKILL);
			return false;
		}
		usleep(10000);
	}
	return true;
}

/* In order: what is ours goes. A node that stands on it waits until the daemon is back. */
static void take_away(struct targets *t)
{
	SSI_CLEANUP(targets_items_free) struct target_items none = { 0 };
	char said[SSI_ERR_MAX] = "they are still in use";
	pid_t pid;

	if (t->known && !t->actual.n && !t->wanted.n)
		return;
	if (t->child <= 0 || wait_for(t->child, STOP_MS)) {
		pid = begin_steps(t, &(struct targets_job){ .wanted = &none, .hang_up = true });
		if (pid > 0 && wait_for(pid, STOP_MS) && pread(t->words, said, sizeof(said) - 1, 0) <= 0)
			return;
	}
	log_warning("iSCSI targets: %s", said);
}

void targets_free(struct targets *t)
{
	if (!t)
		return;
	t->child_source = sd_event_source_disable_unref(t->child_source);
	if (t->words > 0)
		take_away(t);
	sd_event_source_disable_unref(t->limit);
	sd_event_source_disable_unref(t->retry);
	sd_event_source_disable_unref(t->settle);
	while (t->revokes) {
		struct revoke *v = t->revokes;

		t->revokes = v->next;
		free(v);
	}
	ssi_cleanup_close(&t->words);
	ssi_cleanup_close(&t->seen);
	targets_items_free(&t->wanted);
	targets_items_free(&t->actual);
	free(t);
}
