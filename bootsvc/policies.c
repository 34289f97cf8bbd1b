/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the set of policies. Called at start, by the verb reload, and when a file in policy.d changes. A set is read whole before it takes the place of the
 * one before.
 */
#include "bootsvc/policies.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include "bootsvc/events.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/file.h"
#include "libssi/base/log.h"
#include "libssi/base/map.h"
#include "libssi/base/path.h"

#define POLICIES_TEXT_MAX 65536

struct set { struct policies_entry *entries; size_t n; };

struct policies {
	struct daemon *daemon;
	char *dir;
	struct set set;
	sd_event_source *watch;
};

static void set_free(struct set *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->entries[i].file);
		free(s->entries[i].text);
		ssi_policy_free(s->entries[i].policy);
	}
	free(s->entries);
	*s = (struct set) { 0 };
}

static struct policies_entry *set_find(const struct set *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->entries[i].name, name) == 0)
			return &s->entries[i];
	return NULL;
}

/* Enter a policy, in place of one by that name. Takes file (NULL: shipped) and text over. */
static int set_put(struct set *s, const char *name, char *file, char *text, struct ssi_buf *errors)
{
	struct policies_entry fresh = { .file = file, .text = text }, *old = set_find(s, name), *grown;
	int r;

	snprintf(fresh.name, sizeof(fresh.name), "%s", name);
	r = text ? ssi_policy_parse(file ?: name, text, strlen(text), &fresh.policy, errors) : -ENOMEM;
	if (r == 0 && !old) {
		grown = reallocarray(s->entries, s->n + 1, sizeof(*grown));
		r = grown ? 0 : -ENOMEM;
		if (grown) {
			s->entries = grown;
			old = &grown[s->n++];
			*old = (struct policies_entry) { 0 };
		}
	}
	if (r == 0) {
		struct set was = { old, 1 };

		free(was.entries->file);
		free(was.entries->text);
		ssi_policy_free(was.entries->policy);
		*old = fresh;
		return 0;
	}
	free(file);
	free(text);
	ssi_policy_free(fresh.policy);
	return r;
}

/* NAME.ini of the folder. Every mistake is found before it is given up. */
static int set_read_file(struct set *s, const char *dir, const char *base, struct ssi_buf *errors)
{
	size_t n = strlen(base);
	_cleanup_free_ char *path = ssi_path_join(dir, base), *name = strndup(base, n - strlen(".ini"));
	char *text = NULL;
	size_t len;
	int r;

	if (!path || !name)
		return -ENOMEM;
	if (!ssi_path_is_name(name)) {
		ssi_buf_addf(errors, "%s: not a name for a policy: letters, digits and . _ + - alone\n", path);
		return -EINVAL;
	}
	r = ssi_file_read(path, POLICIES_TEXT_MAX, &text, &len);
	if (r < 0) {
		ssi_buf_addf(errors, "%s: %s\n", path, r == -EFBIG ? "more than 64 KiB" : strerror(-r));
		return -EINVAL;
	}
	return set_put(s, name, TAKE_PTR(path), text, errors);
}

static int is_policy(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return d->d_name[0] != '.' && n > 4 && strcmp(d->d_name + n - 4, ".ini") == 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct policies_entry *)a)->name, ((const struct policies_entry *)b)->name);
}

static int set_read_folder(struct set *s, const char *dir, struct ssi_buf *errors)
{
	struct dirent **files = NULL;
	int n = scandir(dir, &files, is_policy, alphasort), r = 0;

	if (n < 0 && errno == ENOENT)
		return 0;
	if (n < 0) {
		ssi_buf_addf(errors, "%s: %s\n", dir, strerror(errno));
		return -EINVAL;
	}
	if (n > POLICIES_MAX) {
		ssi_buf_addf(errors, "%s: more than %d policies\n", dir, POLICIES_MAX);
		r = -EINVAL;
	}
	for (int i = 0; i < n; i++) {
		int one = n > POLICIES_MAX ? 0 : set_read_file(s, dir, files[i]->d_name, errors);

		r = one < 0 ? one : r;
		free(files[i]);
	}
	free(files);
	return r;
}

static int set_read(const char *dir, struct set *ret, struct ssi_buf *errors)
{
	SSI_CLEANUP(set_free) struct set s = { 0 };
	int r = 0;

	for (const struct policies_shipped *o = policies_shipped; r == 0 && o->name; o++)
		r = set_put(&s, o->name, NULL, strdup(o->text), errors);
	if (r == 0 && dir)
		r = set_read_folder(&s, dir, errors);
	if (r < 0)
		return r;
	qsort(s.entries, s.n, sizeof(*s.entries), by_name);
	*ret = s;
	s = (struct set) { 0 };
	return 0;
}

/* --- versions --- */

/* What a policy's text is, as a number: another text is another one, as good as always. */
static void version_of(struct daemon *d, struct policies_entry *o, bool say)
{
	char key[96], key_text[96];
	uint64_t is = ssi_map_hash(o->text) & INT64_MAX, was = 0;

	snprintf(key, sizeof(key), "policy:%s", o->name);
	snprintf(key_text, sizeof(key_text), "policy-text:%s", o->name);
	o->version = 0;
	state_value_get(d->state, key, &o->version, NULL);
	if (o->version && state_value_get(d->state, key_text, &was, NULL) == 0 && was == is)
		return;
	o->version++;
	state_value_put(d->state, key, o->version, NULL);
	state_value_put(d->state, key_text, is, NULL);
	if (say)
		events_add(d->events, "policy", "", "", 0, "%s: version %llu, %s", o->name, (unsigned long long)o->version, o->file ?: "as it is shipped");
}

static void policies_take(struct policies *p, struct set *fresh, bool say)
{
	for (size_t i = 0; i < fresh->n; i++)
		version_of(p->daemon, &fresh->entries[i], say);
	for (size_t i = 0; say && i < p->set.n; i++)
		if (!set_find(fresh, p->set.entries[i].name))
			events_add(p->daemon->events, "policy", "", "", 0, "%s is gone", p->set.entries[i].name);
	set_free(&p->set);
	p->set = *fresh;
}

/* --- files that change --- */

static int policies_on_change(sd_event_source *s, const struct inotify_event *event, void *userdata)
{
	struct policies *p = userdata;
	_cleanup_buf_ struct ssi_buf errors = SSI_BUF_INIT;

	if (policies_reload(p, &errors) < 0)
		events_add(p->daemon->events, "policy", "", "", 0, "mistakes; nothing was changed: %.*s", (int)strcspn(errors.data ?: "", "\n"), errors.data ?: "");
	return 0;
}

/* The folder may come later, and then reload finds it. */
static void policies_watch(struct policies *p)
{
	if (p->watch && sd_event_source_get_enabled(p->watch, NULL) > 0)
		return;
	p->watch = sd_event_source_disable_unref(p->watch);
	sd_event_add_inotify(p->daemon->event, &p->watch, p->dir, IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR,
			     policies_on_change, p);
}

int policies_reload(struct policies *p, struct ssi_buf *errors)
{
	struct set fresh;
	int r;

	policies_watch(p);
	r = set_read(p->dir, &fresh, errors);
	if (r == -ENOMEM)
		ssi_buf_adds(errors, "policies: out of memory\n");
	if (r == 0)
		policies_take(p, &fresh, true);
	return r;
}

/* policy.d, beside nodes.d. */
static char *policies_folder(const char *config)
{
	_cleanup_free_ char *up = strdup(config);
	char *slash;

	if (!up)
		return NULL;
	while ((slash = strrchr(up, '/')) && !slash[1] && slash != up)
		*slash = '\0';
	if (slash)
		slash[slash == up] = '\0';
	return ssi_path_join(slash ? up : ".", "policy.d");
}

int policies_new(struct daemon *d, struct policies **ret, struct ssi_err *e)
{
	_cleanup_buf_ struct ssi_buf errors = SSI_BUF_INIT;
	struct policies *p = calloc(1, sizeof(*p));
	struct set set;
	int r;

	if (p) {
		p->daemon = d;
		p->dir = policies_folder(d->opt->config);
	}
	if (!p || !p->dir) {
		policies_free(p);
		return ssi_errno(e, -ENOMEM, "policies");
	}
	policies_watch(p);
	r = set_read(p->dir, &set, &errors);
	if (r == -EINVAL) {                      /* no reason for nodes not to boot */
		log_error("%s has mistakes; only the policies that are shipped are there:\n%s", p->dir, errors.data ?: "");
		r = set_read(NULL, &set, &errors);
	}
	if (r < 0) {
		policies_free(p);
		return ssi_errno(e, r, "policies");
	}
	policies_take(p, &set, false);
	*ret = p;
	return 0;
}

void policies_free(struct policies *p)
{
	if (!p)
		return;
	sd_event_source_disable_unref(p->watch);
	set_free(&p->set);
	free(p->dir);
	free(p);
}

const struct policies_entry *policies_get(const struct policies *p, const char *name)
{
	return set_find(&p->set, name);
}

const struct policies_entry *policies_each(const struct policies *p, size_t i)
{
	return i < p->set.n ? &p->set.entries[i] : NULL;
}
