/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The recipe reader: a table of sections and keys for libssi/model/conf, and what several keys mean together. Called by
 * 'ssi-mkimage build'. All mistakes are reported at once. It does not know whether a package or a module exists: that shows in the build.
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include "libssi/base/file.h"
#include "libssi/base/num.h"
#include "libssi/base/path.h"
#include "libssi/model/conf.h"
#include "mkimage/recipe.h"
#include "mkimage/recipe-check.h"

enum key {
	K_NAME, K_SOURCE, K_SUITE, K_MIRROR, K_PATH, K_KERNEL, K_PACKAGES, K_PROGRAMS, K_INIT,
	K_DROP, K_DRIVERS, K_MODULES, K_TRIM, K_ISCSI, K_COPY, K_REMOVE, K_ENABLE, K_DISABLE, K_MASK, KEYS
};

static const struct ssi_conf_key image_keys[] = {
	{ "name", 0, NULL, ssi_conf_check_name, K_NAME },
	{ "source", 0, "debian directory", NULL, K_SOURCE },
	{ "suite", 0, NULL, recipe_check_suite, K_SUITE },
	{ "mirror", 0, NULL, recipe_check_mirror, K_MIRROR },
	{ "path", 0, NULL, recipe_check_folder, K_PATH },
	{ "kernel", 0, NULL, recipe_check_package, K_KERNEL },
	{ "packages", SSI_CONF_REPEAT, NULL, recipe_check_packages, K_PACKAGES },
	{ "programs", 0, "node master none", NULL, K_PROGRAMS },
	{ "init", 0, "ssi systemd", NULL, K_INIT },
	{ 0 },
};
static const struct ssi_conf_key modules_keys[] = {
	{ "drop", SSI_CONF_REPEAT, NULL, recipe_check_inside, K_DROP }, { 0 },
};
static const struct ssi_conf_key initramfs_keys[] = {
	{ "drivers", SSI_CONF_REPEAT, NULL, recipe_check_drivers, K_DRIVERS },
	{ "modules", SSI_CONF_REPEAT, NULL, recipe_check_modules, K_MODULES },
	{ "iscsi", 0, NULL, ssi_conf_check_bool, K_ISCSI },
	{ "trim", 0, NULL, ssi_conf_check_bool, K_TRIM }, { 0 },
};
static const struct ssi_conf_key overlay_keys[] = {
	{ "copy", SSI_CONF_REPEAT, NULL, recipe_check_folder, K_COPY }, { 0 },
};
static const struct ssi_conf_key clean_keys[] = {
	{ "remove", SSI_CONF_REPEAT, NULL, recipe_check_inside, K_REMOVE }, { 0 },
};
static const struct ssi_conf_key services_keys[] = {
	{ "enable", SSI_CONF_REPEAT, NULL, recipe_check_units, K_ENABLE },
	{ "disable", SSI_CONF_REPEAT, NULL, recipe_check_units, K_DISABLE },
	{ "mask", SSI_CONF_REPEAT, NULL, recipe_check_units, K_MASK }, { 0 },
};
enum section { S_IMAGE, S_MODULES, S_INITRAMFS, S_OVERLAY, S_CLEAN, S_SERVICES, SECTIONS };
static const struct ssi_conf_section sections[] = {
	{ "image", NULL, image_keys, S_IMAGE },
	{ "modules", NULL, modules_keys, S_MODULES },
	{ "initramfs", NULL, initramfs_keys, S_INITRAMFS },
	{ "overlay", NULL, overlay_keys, S_OVERLAY },
	{ "clean", NULL, clean_keys, S_CLEAN },
	{ "services", NULL, services_keys, S_SERVICES },
	{ 0 },
};

struct reading {
	struct recipe *recipe;
	unsigned section[SECTIONS];     /* where each begins */
	unsigned key[KEYS];             /* where each stands first, 0 = nowhere */
	bool no_source;                 /* it was refused: what depends on it cannot be judged */
	int err;
};

static struct list *list_of(struct recipe *r, int key)
{
	switch (key) {
	case K_PACKAGES: return &r->packages;
	case K_DROP: return &r->drop;
	case K_DRIVERS: return &r->drivers;
	case K_MODULES: return &r->modules;
	case K_COPY: return &r->overlays;
	case K_REMOVE: return &r->remove;
	case K_ENABLE: return &r->enable;
	case K_DISABLE: return &r->disable;
	case K_MASK: return &r->mask;
	default: return NULL;
	}
}

static char **text_of(struct recipe *r, int key)
{
	switch (key) {
	case K_NAME: return &r->name;
	case K_SUITE: return &r->suite;
	case K_MIRROR: return &r->mirror;
	case K_PATH: return &r->path;
	case K_KERNEL: return &r->kernel;
	case K_PROGRAMS: return &r->programs;
	case K_INIT: return &r->init;
	default: return NULL;
	}
}

static int on_section(struct ssi_conf *c, const struct ssi_conf_section *s, const char *name, void *userdata)
{
	struct reading *rd = userdata;

	if (rd->section[s->id]) {
		ssi_conf_mistake(c, "[%s] stands already on line %u: put its keys together there", s->kind, rd->section[s->id]);
		return -EINVAL;
	}
	rd->section[s->id] = ssi_conf_line(c);
	return 0;
}

static void on_entry(struct ssi_conf *c, const struct ssi_conf_section *s, const struct ssi_conf_key *k,
		     const char *key, const char *value, void *userdata)
{
	struct reading *rd = userdata;
	struct list *l = list_of(rd->recipe, k->id);
	char **text = text_of(rd->recipe, k->id);
	int r = 0;

	if (!rd->key[k->id])
		rd->key[k->id] = ssi_conf_line(c);
	if (k->id == K_SOURCE)
		rd->recipe->source = strcmp(value, "debian") ? RECIPE_DIRECTORY : RECIPE_DEBIAN;
	else if (k->id == K_TRIM)
		rd->recipe->trim = ssi_num_bool(value) > 0;
	else if (k->id == K_ISCSI)
		rd->recipe->iscsi = ssi_num_bool(value) > 0;
	else if (k->id == K_COPY)
		r = list_add(l, value, strlen(value), ssi_conf_line(c));
	else if (l)
		r = list_add_words(l, value, ssi_conf_line(c));
	else if (!(*text = strdup(value)))
		r = -ENOMEM;
	if (r < 0)
		rd->err = r;
}

/* A value that was refused is there all the same: its absence is not a second mistake. */
static void on_refused(struct ssi_conf *c, const struct ssi_conf_section *s, const struct ssi_conf_key *k, void *userdata)
{
	struct reading *rd = userdata;

	if (!rd->key[k->id])
		rd->key[k->id] = ssi_conf_line(c);
	if (k->id == K_SOURCE)
		rd->no_source = true;
}

/* What keys mean together. */
static void check_whole(const struct reading *rd, struct ssi_conf_errors *errors)
{
	static const struct { int key; enum recipe_source source; const char *name; } only[] = {
		{ K_SUITE, RECIPE_DEBIAN, "suite" }, { K_MIRROR, RECIPE_DEBIAN, "mirror" }, { K_KERNEL, RECIPE_DEBIAN, "kernel" },
		{ K_PACKAGES, RECIPE_DEBIAN, "packages" }, { K_PATH, RECIPE_DIRECTORY, "path" },
	};
	const struct recipe *r = rd->recipe;

	if (!rd->section[S_IMAGE]) {
		ssi_conf_error(errors, r->file, 0, "no [image] section: an image needs at least a name and a source");
		return;
	}
	if (!rd->key[K_NAME])
		ssi_conf_error(errors, r->file, rd->section[S_IMAGE], "[image] has no 'name'");
	if (!rd->key[K_SOURCE]) {
		ssi_conf_error(errors, r->file, rd->section[S_IMAGE], "[image] has no 'source' (debian or directory)");
		return;
	}
	if (rd->no_source)
		return;
	for (size_t i = 0; i < sizeof(only) / sizeof(*only); i++)
		if (rd->key[only[i].key] && r->source != only[i].source)
			ssi_conf_error(errors, r->file, rd->key[only[i].key], "'%s' has no meaning with source = %s", only[i].name,
				       r->source == RECIPE_DEBIAN ? "debian" : "directory");
	if (r->source == RECIPE_DEBIAN && !rd->key[K_SUITE])
		ssi_conf_error(errors, r->file, rd->section[S_IMAGE], "source = debian needs a 'suite' such as bookworm");
	if (r->source == RECIPE_DIRECTORY && !rd->key[K_PATH])
		ssi_conf_error(errors, r->file, rd->section[S_IMAGE], "source = directory needs the 'path' of the tree");
}

/* A unit that is to be enabled and masked at once: one of the two lines is a mistake. */
static void check_units(const struct recipe *r, struct ssi_conf_errors *errors)
{
	for (size_t i = 0; i < r->enable.n; i++) {
		const struct list_word *w = &r->enable.words[i], *other = list_find(&r->mask, w->text);

		if (!other)
			other = list_find(&r->disable, w->text);
		if (other)
			ssi_conf_error(errors, r->file, other->line, "'%s' is enabled on line %u", w->text, w->line);
	}
}

static int set_default(char **value, const char *text)
{
	if (*value || !text)
		return 0;
	*value = strdup(text);
	return *value ? 0 : -ENOMEM;
}

static int recipe_finish(struct recipe *r)
{
	const char *slash = strrchr(r->file, '/');

	r->dir = slash ? strndup(r->file, slash == r->file ? 1 : (size_t)(slash - r->file)) : strdup(".");
	if (!r->dir || set_default(&r->programs, "none") < 0 || set_default(&r->init, "ssi") < 0)
		return -ENOMEM;
	return set_default(&r->kernel, r->source == RECIPE_DEBIAN ? "linux-image-amd64" : NULL);
}

int recipe_parse(const char *file, const char *text, size_t len, struct recipe **ret, struct ssi_buf *errors)
{
	static const struct ssi_conf_ops ops = { .section = on_section, .entry = on_entry, .refused = on_refused };
	_cleanup_recipe_ struct recipe *r = calloc(1, sizeof(*r));
	struct ssi_conf_errors found = { errors, 0 };
	struct reading rd = { .recipe = r };
	int err;

	if (!r || !(r->file = strdup(file)))
		return -ENOMEM;
	r->trim = true;
	err = ssi_conf_parse(file, text, len, sections, &ops, &rd, &found);
	if (err < 0 || rd.err < 0)
		return err < 0 ? err : rd.err;
	r->path_line = rd.key[K_PATH];
	check_whole(&rd, &found);
	check_units(r, &found);
	err = ssi_conf_errors_end(&found);
	if (err == 0)
		err = recipe_finish(r);
	if (err < 0)
		return err;
	*ret = TAKE_PTR(r);
	return 0;
}

static void check_folder(const struct recipe *r, const char *path, unsigned line, struct ssi_conf_errors *errors)
{
	_cleanup_free_ char *full = recipe_path(r, path);
	struct stat st;

	if (!full || stat(full, &st) < 0 || !S_ISDIR(st.st_mode))
		ssi_conf_error(errors, r->file, line, "there is no folder '%s'", full ? full : path);
}

int recipe_load(const char *file, struct recipe **ret, struct ssi_buf *errors)
{
	_cleanup_recipe_ struct recipe *r = NULL;
	struct ssi_conf_errors found = { errors, 0 };
	_cleanup_free_ char *text = NULL;
	size_t len;
	int err = ssi_file_read(file, SSI_CONF_FILE_MAX, &text, &len);

	if (err < 0) {
		ssi_buf_addf(errors, "%s: %s\n", file, strerror(-err));
		return err;
	}
	err = recipe_parse(file, text, len, &r, errors);
	if (err < 0)
		return err;
	if (r->path)
		check_folder(r, r->path, r->path_line, &found);
	for (size_t i = 0; i < r->overlays.n; i++)
		check_folder(r, r->overlays.words[i].text, r->overlays.words[i].line, &found);
	err = ssi_conf_errors_end(&found);
	if (err < 0)
		return err;
	*ret = TAKE_PTR(r);
	return 0;
}

void recipe_free(struct recipe *r)
{
	if (!r)
		return;
	free(r->file);
	free(r->dir);
	for (int k = 0; k < KEYS; k++) {
		if (text_of(r, k))
			free(*text_of(r, k));
		if (list_of(r, k))
			list_free(list_of(r, k));
	}
	free(r);
}

static json_t *json_list(const struct list *l)
{
	json_t *a = json_array();

	for (size_t i = 0; a && i < l->n; i++)
		json_array_append_new(a, json_string(l->words[i].text));
	return a;
}

json_t *recipe_json(const struct recipe *r)
{
	json_t *o = json_pack("{s:s, s:s, s:s*, s:s*, s:s*, s:s, s:s}", "name", r->name,
			      "source", r->source == RECIPE_DEBIAN ? "debian" : "directory", "suite", r->suite, "mirror", r->mirror,
			      "kernel", r->kernel, "programs", r->programs, "init", r->init);

	if (!o)
		return NULL;
	if (r->source == RECIPE_DEBIAN)
		json_object_set_new(o, "packages", json_list(&r->packages));
	json_object_set_new(o, "drop", json_list(&r->drop));
	json_object_set_new(o, "drivers", json_list(&r->drivers));
	json_object_set_new(o, "modules", json_list(&r->modules));
	json_object_set_new(o, "iscsi", json_boolean(r->iscsi));
	json_object_set_new(o, "trim", json_boolean(r->trim));
	json_object_set_new(o, "remove", json_list(&r->remove));
	json_object_set_new(o, "enable", json_list(&r->enable));
	json_object_set_new(o, "disable", json_list(&r->disable));
	json_object_set_new(o, "mask", json_list(&r->mask));
	return o;
}

char *recipe_path(const struct recipe *r, const char *path)
{
	return *path == '/' ? strdup(path) : ssi_path_join(r->dir, path);
}

int recipe_mistake(const struct recipe *r, unsigned line, struct ssi_err *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	ssi_errv(e, -EINVAL, fmt, ap);
	va_end(ap);
	return line ? ssi_err_prefix(e, "%s:%u", r->file, line) : ssi_err_prefix(e, "%s", r->file);
}
