/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading and checking manifests. Called by the verbs show, list and verify. A manifest may come from elsewhere: nothing in it is trusted as a path. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "libssi/base/file.h"
#include "libssi/base/hash.h"
#include "libssi/base/path.h"
#include "libssi/base/spawn.h"
#include "mkimage/manifest.h"
#include "mkimage/result.h"
#include "mkimage/store.h"

#define MANIFEST_NAME "manifest.json"
#define MANIFEST_MAX (16u << 20)

int manifest_load(const char *dir, json_t **ret, struct ssi_err *e)
{
	_cleanup_free_ char *path = ssi_path_join(dir, MANIFEST_NAME), *text = NULL;
	json_error_t why;
	json_t *m;
	size_t len;
	int r = path ? ssi_file_read(path, MANIFEST_MAX, &text, &len) : -ENOMEM;

	if (r < 0)
		return ssi_errno(e, r, "%s", path ? path : dir);
	m = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	if (!m)
		return ssi_errf(e, -EBADMSG, "%s:%d: %s", path, why.line, why.text);
	if (json_integer_value(json_object_get(m, "format")) != MANIFEST_FORMAT || !json_is_object(json_object_get(m, "files"))) {
		json_decref(m);
		return ssi_errf(e, -EBADMSG, "%s is not a manifest of format %d", path, MANIFEST_FORMAT);
	}
	*ret = m;
	return 0;
}

static int verify_name(const char *dir, const char *id, struct ssi_buf *faults)
{
	_cleanup_free_ char *path = ssi_path_join(dir, MANIFEST_NAME);
	char digest[SSI_HASH_HEX], name[STORE_ID_MAX];
	int r = path ? ssi_hash_file(path, digest) : -ENOMEM;

	if (r < 0)
		return ssi_buf_addf(faults, "%s: %s\n", MANIFEST_NAME, strerror(-r)), 1;
	snprintf(name, sizeof(name), STORE_ID "%s", digest);
	if (!strcmp(name, id))
		return 0;
	return ssi_buf_addf(faults, "%s: was changed: its digest is %s\n", MANIFEST_NAME, digest), 1;
}

static int verify_file(const char *dir, const char *name, json_t *told, struct ssi_buf *faults)
{
	_cleanup_free_ char *path = ssi_path_join(dir, name);
	_cleanup_json_ json_t *found = NULL;
	struct ssi_err why;

	if (!ssi_path_is_name(name))
		return ssi_buf_addf(faults, "%s: names a file outside of the generation\n", MANIFEST_NAME), 1;
	if (!path || result_file(path, &found, &why) < 0)
		return ssi_buf_addf(faults, "%s: %s\n", name, path ? why.text : strerror(ENOMEM)), 1;
	if (json_equal(found, told))
		return 0;
	return ssi_buf_addf(faults, "%s: is damaged: %lld bytes, digest %.16s...; should be %lld bytes, %.16s...\n", name,
			    json_integer_value(json_object_get(found, "size")), json_string_value(json_object_get(found, "sha256")),
			    json_integer_value(json_object_get(told, "size")), json_string_value(json_object_get(told, "sha256"))), 1;
}

static int verify_extra(const char *dir, json_t *files, struct ssi_buf *faults)
{
	_cleanup_closedir_ DIR *d = opendir(dir);
	struct dirent *de;
	int n = 0;

	while (d && (de = readdir(d))) {
		if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, "..") || !strcmp(de->d_name, MANIFEST_NAME) || json_object_get(files, de->d_name))
			continue;
		ssi_buf_addf(faults, "%s: is not in the manifest\n", de->d_name);
		n++;
	}
	return n;
}

static int verify_verity(const char *dir, json_t *m, struct ssi_buf *faults)
{
	_cleanup_free_ char *image = ssi_path_join(dir, "root.erofs"), *tree = ssi_path_join(dir, "root.verity");
	const char *hash = json_string_value(json_object_get(json_object_get(m, "verity"), "root_hash"));
	struct ssi_err why;
	int r;

	if (!hash || strlen(hash) != 64 || strspn(hash, "0123456789abcdef") != 64)
		return ssi_buf_addf(faults, "%s: has no verity root hash\n", MANIFEST_NAME), 1;
	if (!image || !tree)
		return ssi_buf_addf(faults, "root.verity: %s\n", strerror(ENOMEM)), 1;
	r = ssi_spawn_run((char *[]){ (char *)"veritysetup", (char *)"verify", image, tree, (char *)hash, NULL }, 0, &why);
	if (r == -ENOENT)
		return ssi_buf_adds(faults, "root.verity: cannot be checked: veritysetup is not installed (package cryptsetup-bin)\n"), 1;
	return r < 0 ? ssi_buf_addf(faults, "root.verity: does not fit root.erofs: %s\n", why.text), 1 : 0;
}

int manifest_verify(const char *dir, const char *id, struct ssi_buf *faults, struct ssi_err *e)
{
	_cleanup_json_ json_t *m = NULL;
	const char *name;
	json_t *file;
	int n = verify_name(dir, id, faults), r = manifest_load(dir, &m, e);

	if (r == -EBADMSG)
		return ssi_buf_addf(faults, "%s: cannot be read\n", MANIFEST_NAME), n + 1;
	if (r < 0)
		return r;
	json_object_foreach(json_object_get(m, "files"), name, file)
		n += verify_file(dir, name, file, faults);
	n += verify_extra(dir, json_object_get(m, "files"), faults);
	n += verify_verity(dir, m, faults);
	return faults->err ? ssi_errno(e, faults->err, "verify") : n;
}
