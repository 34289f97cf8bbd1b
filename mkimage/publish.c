/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The last step: results become a generation. Called by build.c. The manifest is put together from what the results know of their files,
 * without reading these again; its digest is the generation's name, so a build that changes nothing ends here at once.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "libssi/base/file.h"
#include "libssi/base/hash.h"
#include "libssi/base/path.h"
#include "mkimage/build.h"
#include "mkimage/copy.h"
#include "mkimage/manifest.h"
#include "mkimage/result.h"
#include "mkimage/store.h"

static json_t *inputs_json(const struct build *b)
{
	const struct inputs *in = b->inputs;
	json_t *o = json_pack("{s:s, s:s, s:s, s:s}", "source", in->source, "init", in->init, "mkfs", in->root_tool, "dracut", in->init_tool);

	if (o && *in->programs)
		json_object_set_new(o, "programs", json_string(in->programs));
	if (o && *in->overlay)
		json_object_set_new(o, "overlay", json_string(in->overlay));
	if (o && *in->epoch)
		json_object_set_new(o, "epoch", json_string(in->epoch));
	return o;
}

/* The manifest's text from two results; allocated. */
static char *make_manifest(const struct build *b, json_t *initramfs, json_t *root)
{
	_cleanup_json_ json_t *files = json_object(), *m = NULL;
	_cleanup_free_ char *text = NULL;
	char *line = NULL;

	json_object_update(files, json_object_get(initramfs, "files"));
	json_object_update(files, json_object_get(root, "files"));
	m = json_pack("{s:i, s:s, s:o, s:o, s:O, s:O, s:O, s:O}", "format", MANIFEST_FORMAT, "name", b->recipe->name,
		      "recipe", recipe_json(b->recipe), "inputs", inputs_json(b), "kernel", json_object_get(initramfs, "kernel"),
		      "packages", json_object_get(root, "packages"), "verity", json_object_get(root, "verity"), "files", files);
	text = m ? json_dumps(m, JSON_SORT_KEYS | JSON_COMPACT) : NULL;
	return text && asprintf(&line, "%s\n", text) >= 0 ? line : NULL;
}

static int copy_files(const char *cache, const char *kind, const char *key, json_t *result, const char *to_dir, struct ssi_err *e)
{
	_cleanup_free_ char *dir = result_path(cache, kind, key);
	const char *name;
	json_t *unused;

	json_object_foreach(json_object_get(result, "files"), name, unused) {
		_cleanup_free_ char *from = dir ? ssi_path_join(dir, name) : NULL, *to = ssi_path_join(to_dir, name);
		int r = from && to ? copy_file(from, to, 0444, e) : ssi_errno(e, -ENOMEM, "%s", name);

		if (r < 0)
			return r;
	}
	return 0;
}

static int publish(struct build *b, json_t *initramfs, json_t *root, const char *manifest, struct ssi_err *e)
{
	_cleanup_tmpdir_ struct tmpdir t = TMPDIR_INIT;
	_cleanup_free_ char *path = NULL;
	int r = tmpdir_new(b->store, &t, e);

	if (r == 0)
		r = copy_files(b->cache, RESULT_INITRAMFS, b->plan->initramfs, initramfs, t.path, e);
	if (r == 0)
		r = copy_files(b->cache, RESULT_ROOT, b->plan->root, root, t.path, e);
	if (r < 0)
		return r;
	path = ssi_path_join(t.path, "manifest.json");
	r = path ? ssi_file_write_atomic(path, manifest, strlen(manifest), 0444) : -ENOMEM;
	if (r < 0)
		return ssi_errno(e, r, "%s", path ? path : t.path);
	r = store_publish(b->store, b->recipe->name, b->generation, &t, e);
	b->is_new = r > 0;
	return r < 0 ? r : 0;
}

static bool has_file(const char *dir, const char *name, json_int_t size)
{
	_cleanup_free_ char *path = ssi_path_join(dir, name);
	struct stat st;

	return path && stat(path, &st) == 0 && st.st_size == size;
}

static bool has_files(const char *dir, json_t *files)
{
	const char *name;
	json_t *file;

	json_object_foreach(files, name, file)
		if (!has_file(dir, name, json_integer_value(json_object_get(file, "size"))))
			return false;
	return true;
}

static int publish_if_new(struct build *b, json_t *initramfs, json_t *root, struct ssi_err *e)
{
	_cleanup_free_ char *manifest = make_manifest(b, initramfs, root), *dir = NULL, *path = NULL;
	char digest[SSI_HASH_HEX];
	struct ssi_hash *h = ssi_hash_new();
	int r;

	if (h && manifest)
		ssi_hash_add(h, manifest, strlen(manifest));
	if (h)
		ssi_hash_end(h, digest);
	dir = ssi_path_join(b->store, b->recipe->name);
	if (!h || !manifest || !dir)
		return ssi_errno(e, -ENOMEM, "manifest");
	snprintf(b->generation, sizeof(b->generation), STORE_ID "%s", digest);
	path = ssi_path_join(dir, b->generation);
	if (!path || access(path, F_OK) < 0)
		return publish(b, initramfs, root, manifest, e);
	/* Whole as far as sizes tell? */
	if (has_file(path, "manifest.json", (json_int_t)strlen(manifest)) && has_files(path, json_object_get(initramfs, "files")) &&
	    has_files(path, json_object_get(root, "files")))
		return store_set_current(b->store, b->recipe->name, b->generation, e);
	r = tmpdir_discard(b->store, path);
	return r < 0 ? ssi_errno(e, r, "%s is damaged, and cannot be put out of the way", path) : publish(b, initramfs, root, manifest, e);
}

int step_publish(struct build *b, uint64_t *ret_size, struct ssi_err *e)
{
	_cleanup_json_ json_t *initramfs = NULL, *root = NULL;
	int r = result_load(b->cache, RESULT_INITRAMFS, b->plan->initramfs, &initramfs, e);

	if (r == 0)
		r = result_load(b->cache, RESULT_ROOT, b->plan->root, &root, e);
	return r < 0 ? r : publish_if_new(b, initramfs, root, e);
}
