/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nodes.d from its files, and what differs between two states of it. Called at start and by the verbs reload and node.set. All texts are in
 * memory while they are parsed.
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include "bootsvc/config.h"
#include "libssi/base/file.h"
#include "libssi/base/path.h"

#define CONFIG_FILE_MAX (16u << 20)

struct texts {
	struct ssi_registry_source *src;
	size_t n;
};

static void texts_free(struct texts *t)
{
	for (size_t i = 0; i < t->n; i++) {
		free((char *)t->src[i].name);
		free((char *)t->src[i].text);
	}
	free(t->src);
}

/* Takes over text. */
static int texts_add(struct texts *t, const char *folder, const char *name, char *text, size_t len)
{
	struct ssi_registry_source *grown = reallocarray(t->src, t->n + 1, sizeof(*grown));

	if (grown) {
		t->src = grown;
		grown[t->n] = (struct ssi_registry_source) { ssi_path_join(folder, name), text, len };
		if (grown[t->n].name) {
			t->n++;
			return 0;
		}
	}
	free(text);
	return -ENOMEM;
}

static int is_drop_in(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return d->d_name[0] != '.' && n > 4 && strcmp(d->d_name + n - 4, ".ini") == 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);   /* whatever the locale says */
}

static int add_file(struct texts *t, const char *dir, const char *folder, const char *name, struct ssi_buf *errors)
{
	_cleanup_free_ char *path = ssi_path_join(dir, name);
	char *text;
	size_t len;
	int r;

	if (!path)
		return -ENOMEM;
	r = ssi_file_read(path, CONFIG_FILE_MAX, &text, &len);
	if (r < 0) {
		ssi_buf_addf(errors, "%s/%s: %s\n", folder, name, r == -EFBIG ? "longer than 16 MiB" : strerror(-r));
		return r == -ENOMEM ? r : 0;
	}
	return texts_add(t, folder, name, text, len);
}

static int add_draft(struct texts *t, const char *folder, const struct config_draft *draft)
{
	char *text = strdup(draft->text);

	return text ? texts_add(t, folder, draft->name, text, strlen(text)) : -ENOMEM;
}

/* The files in order, with the drafts in their places among them. */
static int add_all(struct texts *t, const char *dir, const char *folder, const struct config_draft *draft, struct ssi_buf *errors)
{
	struct dirent **names = NULL;
	int n = scandir(dir, &names, is_drop_in, by_bytes), r = 0;

	if (n < 0 && errno != ENOENT) {
		ssi_buf_addf(errors, "%s: %m\n", dir);
		return 0;
	}
	for (int i = 0; i < n; i++) {
		const char *name = names[i]->d_name;

		for (; r == 0 && draft && draft->name && strcmp(draft->name, name) < 0; draft++)
			r = add_draft(t, folder, draft);
		if (r == 0 && draft && draft->name && strcmp(draft->name, name) == 0)
			r = add_draft(t, folder, draft++);
		else if (r == 0)
			r = add_file(t, dir, folder, name, errors);
		free(names[i]);
	}
	free(names);
	for (; r == 0 && draft && draft->name; draft++)
		r = add_draft(t, folder, draft);
	return r;
}

/* Messages name a file by its folder and itself: "nodes.d/10-demo.ini". */
static const char *folder_name(const char *dir)
{
	const char *slash = strrchr(dir, '/');

	return slash && slash[1] ? slash + 1 : dir;
}

int config_read(const char *dir, const struct config_draft *drafts, struct ssi_registry **ret, struct ssi_buf *errors)
{
	SSI_CLEANUP(texts_free) struct texts t = { 0 };
	_cleanup_registry_ struct ssi_registry *reg = NULL;
	int r = add_all(&t, dir, folder_name(dir), drafts, errors);

	if (r < 0) {
		ssi_buf_addf(errors, "%s: %s\n", dir, strerror(-r));
		return r;
	}
	r = ssi_registry_parse(t.src, t.n, &reg, errors);
	if (r < 0)
		return r;
	if (errors->len)
		return -EINVAL;
	*ret = TAKE_PTR(reg);
	return 0;
}

const struct ssi_origin *config_origin(const struct ssi_node *n, const char *key)
{
	for (size_t i = 0; i < n->n_values; i++)
		if (strcmp(n->values[i].key, key) == 0)
			return &n->values[i].from;
	return &n->from;
}

int config_compare(const struct ssi_registry *old, const struct ssi_registry *new_registry, struct config_diff *ret)
{
	SSI_CLEANUP(config_diff_free) struct config_diff d = { 0 };

	d.added = calloc(new_registry->n_nodes + 1, sizeof(*d.added));
	d.changed = calloc(new_registry->n_nodes + 1, sizeof(*d.changed));
	d.removed = calloc((old ? old->n_nodes : 0) + 1, sizeof(*d.removed));
	if (!d.added || !d.changed || !d.removed)
		return -ENOMEM;
	for (size_t i = 0; i < new_registry->n_nodes; i++) {
		const struct ssi_node *n = new_registry->nodes[i], *was = old ? ssi_registry_node(old, n->name) : NULL;

		if (!was)
			d.added[d.n_added++] = n;
		else if (!ssi_node_equal(was, n))
			d.changed[d.n_changed++] = n;
	}
	for (size_t i = 0; old && i < old->n_nodes; i++)
		if (!ssi_registry_node(new_registry, old->nodes[i]->name))
			d.removed[d.n_removed++] = old->nodes[i];
	*ret = d;
	d = (struct config_diff) { 0 };
	return 0;
}

void config_diff_free(struct config_diff *d)
{
	free(d->added);
	free(d->removed);
	free(d->changed);
	*d = (struct config_diff) { 0 };
}
