/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The difference between what is exported and what is to be, as a list of steps. Called by exports.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bootsvc/exports-plan.h"
#include "libssi/base/cleanup.h"

struct export_entry *export_list_find(const struct export_list *l, const char *generation, const char *client)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->e[i].generation, generation) == 0 && (!client || strcmp(l->e[i].client, client) == 0))
			return &l->e[i];
	return NULL;
}

int export_list_add(struct export_list *l, const char *image, const char *generation, const char *client)
{
	struct export_entry *grown;

	if (export_list_find(l, generation, client))
		return 0;
	grown = reallocarray(l->e, l->n + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	l->e = grown;
	grown = &grown[l->n++];
	*grown = (struct export_entry) { .lock = -1 };
	snprintf(grown->image, sizeof(grown->image), "%s", image);
	snprintf(grown->generation, sizeof(grown->generation), "%s", generation);
	snprintf(grown->client, sizeof(grown->client), "%s", client);
	return 0;
}

int export_list_add_shared(struct export_list *l, const struct ssi_shared *s, const char *client)
{
	char name[SSI_SHARED_NAME];
	struct export_entry *e;
	size_t before = l->n;
	int r;

	ssi_shared_name(s->path, name);
	r = export_list_add(l, "", name, client);
	if (r < 0 || l->n == before)
		return r;
	e = &l->e[before];
	strcpy(e->source, s->path);
	e->root = s->root;
	return 0;
}

void export_list_free(struct export_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		ssi_cleanup_close(&l->e[i].lock);
	free(l->e);
	*l = (struct export_list) { 0 };
}

void export_view_free(struct export_view *v)
{
	export_list_free(&v->mounts);
	export_list_free(&v->exports);
}

void export_plan_free(struct export_plan *p)
{
	free(p->steps);
	*p = (struct export_plan) { 0 };
}

static int step_add(struct export_plan *p, enum export_do what, const struct export_entry *e)
{
	struct export_step *grown = reallocarray(p->steps, p->n + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	p->steps = grown;
	grown = &grown[p->n++];
	*grown = (struct export_step) { .what = what };
	strcpy(grown->image, e->image);
	strcpy(grown->generation, e->generation);
	strcpy(grown->client, e->client);
	strcpy(grown->source, e->source);
	grown->root = e->root;
	return 0;
}

static bool mount_planned(const struct export_plan *p, const char *generation)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->steps[i].what <= EXPORT_MOUNT && strcmp(p->steps[i].generation, generation) == 0)
			return true;
	return false;
}

/* What is mounted anew is exported anew: the NFS server has been told nothing of it so far, or something else. */
static bool export_needed(const struct export_plan *p, const struct export_entry *w, const struct export_view *actual)
{
	const struct export_entry *is = export_list_find(&actual->exports, w->generation, w->client);

	return !is || (w->source[0] && is->root != w->root) || mount_planned(p, w->generation);
}

static int plan_add(struct export_plan *p, const struct export_list *wanted, const struct export_view *actual)
{
	int r = 0;

	/* The pseudo-root before what is mounted in it; all mounts before the exports, so that nothing under a mount is exported. */
	for (int root = 1; root >= 0; root--)
		for (size_t i = 0; r == 0 && i < wanted->n; i++) {
			const struct export_entry *w = &wanted->e[i];

			if ((w->generation[0] == '\0') == root && !export_list_find(&actual->mounts, w->generation, NULL) && !mount_planned(p, w->generation))
				r = step_add(p, root ? EXPORT_ROOT_MOUNT : EXPORT_MOUNT, w);
		}
	for (size_t i = 0; r == 0 && i < wanted->n; i++)
		if (export_needed(p, &wanted->e[i], actual))
			r = step_add(p, EXPORT_EXPORT, &wanted->e[i]);
	return r;
}

static int plan_remove(struct export_plan *p, const struct export_list *wanted, const struct export_view *actual)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < actual->exports.n; i++)
		if (!export_list_find(wanted, actual->exports.e[i].generation, actual->exports.e[i].client))
			r = step_add(p, EXPORT_UNEXPORT, &actual->exports.e[i]);
	/* The pseudo-root's own mount stays: it costs nothing, and a client may come back. */
	for (size_t i = 0; r == 0 && i < actual->mounts.n; i++)
		if (actual->mounts.e[i].generation[0] && !export_list_find(wanted, actual->mounts.e[i].generation, NULL))
			r = step_add(p, EXPORT_UNMOUNT, &actual->mounts.e[i]);
	return r;
}

int export_plan_make(const struct export_list *wanted, const struct export_view *actual, struct export_plan *ret)
{
	SSI_CLEANUP(export_plan_free) struct export_plan p = { 0 };
	int r = plan_add(&p, wanted, actual);

	if (r == 0)
		r = plan_remove(&p, wanted, actual);
	if (r < 0)
		return r;
	*ret = p;
	p = (struct export_plan) { 0 };
	return 0;
}

/* "" for the pseudo-root, a generation's name for what is directly below it, NULL for anything else. Ends the name in place. */
static const char *below(const char *root, char *path)
{
	size_t n = strlen(root);

	if (strncmp(path, root, n) != 0)
		return NULL;
	if (!path[n])
		return "";
	return path[n] == '/' && !strchr(path + n + 1, '/') && strlen(path + n + 1) < IMAGES_GENERATION ? path + n + 1 : NULL;
}

int export_view_mounts(struct export_view *v, const char *root, const char *text)
{
	_cleanup_free_ char *copy = strdup(text);
	char *save = NULL;
	int r = 0;

	if (!copy)
		return -ENOMEM;
	for (char *line = strtok_r(copy, "\n", &save); r == 0 && line; line = strtok_r(NULL, "\n", &save)) {
		char *in = NULL, *path = strtok_r(line, " ", &in) ? strtok_r(NULL, " ", &in) : NULL;
		const char *name = path ? below(root, path) : NULL;

		if (name)
			r = export_list_add(&v->mounts, "", name, "");
	}
	return r;
}

/* "PATH\tCLIENT(OPTIONS)" */
static int etab_line(struct export_view *v, const char *name, const char *client, const char *options)
{
	int r = export_list_add(&v->exports, "", name, client);

	if (r == 0)
		export_list_find(&v->exports, name, client)->root = options && strstr(options, "no_root_squash");
	return r;
}

int export_view_etab(struct export_view *v, const char *root, const char *text)
{
	_cleanup_free_ char *copy = strdup(text);
	char *save = NULL;
	int r = 0;

	if (!copy)
		return -ENOMEM;
	for (char *line = strtok_r(copy, "\n", &save); r == 0 && line; line = strtok_r(NULL, "\n", &save)) {
		char *in = NULL, *path = strtok_r(line, " \t", &in), *client = path ? strtok_r(NULL, "(", &in) : NULL;
		const char *name = client ? below(root, path) : NULL;

		if (name && strlen(client) < sizeof(((struct export_entry *)0)->client))
			r = etab_line(v, name, client, strtok_r(NULL, "\n", &in));
	}
	return r;
}
