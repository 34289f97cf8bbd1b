/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Generations against their manifests. Called by images.c. Hashing a new generation holds the loop up once, for as long as reading its kernel takes. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include "bootsvc/verify.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/hash.h"
#include "libssi/base/path.h"
#include "libssi/comm/json.h"

static const struct { const char *name; bool hashed, optional; } parts[] = {
	{ "vmlinuz", true, false }, { "initramfs", true, false }, { "initramfs-iscsi", true, true }, { "root.erofs", false, false },
};
#define PARTS (sizeof(parts) / sizeof(*parts))

/* Changes when a file's content may have. */
struct file_id { dev_t dev; ino_t ino; off_t size; struct timespec mtime, ctime; };

struct part { bool none; uint64_t size; char sha256[SSI_HASH_HEX]; struct file_id seen; bool good; };

struct entry {
	char *folder;
	struct file_id manifest;
	struct part parts[PARTS];
};

struct verify { struct entry *entries; size_t n; };

int verify_new(struct verify **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

void verify_free(struct verify *v)
{
	for (size_t i = 0; v && i < v->n; i++)
		free(v->entries[i].folder);
	if (v)
		free(v->entries);
	free(v);
}

static int file_id(const char *folder, const char *name, struct file_id *ret, struct ssi_err *e)
{
	_cleanup_free_ char *path = ssi_path_join(folder, name);
	struct stat st;

	if (!path)
		return ssi_errno(e, -ENOMEM, "%s", name);
	if (stat(path, &st) < 0)
		return errno == ENOENT ? ssi_errf(e, -ENOENT, "%s is missing", name) : ssi_errno(e, -errno, "%s", name);
	memset(ret, 0, sizeof(*ret));            /* compared as bytes */
	ret->dev = st.st_dev;
	ret->ino = st.st_ino;
	ret->size = st.st_size;
	ret->mtime = st.st_mtim;
	ret->ctime = st.st_ctim;
	return 0;
}

/* Of the folder; a new one is empty. NULL: out of memory. */
static struct entry *entry_of(struct verify *v, const char *folder)
{
	struct entry *grown;

	for (size_t i = 0; i < v->n; i++)
		if (strcmp(v->entries[i].folder, folder) == 0)
			return &v->entries[i];
	grown = reallocarray(v->entries, v->n + 1, sizeof(*grown));
	if (!grown)
		return NULL;
	v->entries = grown;
	grown = &grown[v->n];
	*grown = (struct entry) { .folder = strdup(folder) };
	if (!grown->folder)
		return NULL;
	v->n++;
	return grown;
}

static int manifest_read(struct entry *en, struct ssi_err *e)
{
	_cleanup_free_ char *path = ssi_path_join(en->folder, "manifest.json");
	_cleanup_json_ json_t *m = path ? json_load_file(path, 0, NULL) : NULL;
	const char *name = strrchr(en->folder, '/') + 1;
	char sum[SSI_HASH_HEX] = "";

	/* What it says goes to nodes as what their image has to be: it is what the generation is named by. */
	if (m && (ssi_hash_file(path, sum) < 0 || strncmp(name, "sha256-", 7) != 0 || strcmp(name + 7, sum) != 0))
		return ssi_errf(e, -EBADMSG, "manifest.json is damaged: the generation is not named by it");
	for (size_t i = 0; i < PARTS; i++) {
		const json_t *f = json_object_get(json_object_get(m, "files"), parts[i].name);
		const char *digest = ssi_json_str(f, "sha256");

		if (!f && parts[i].optional && m) {
			en->parts[i] = (struct part) { .none = true };
			continue;
		}
		if (!json_is_integer(json_object_get(f, "size")) || strspn(digest, "0123456789abcdef") != SSI_HASH_HEX - 1 || digest[SSI_HASH_HEX - 1])
			return ssi_errf(e, -EBADMSG, "manifest.json is damaged");
		en->parts[i] = (struct part) { .size = (uint64_t)ssi_json_int(f, "size") };
		strcpy(en->parts[i].sha256, digest);
	}
	return 0;
}

static int part_check(struct entry *en, size_t i, struct ssi_err *e)
{
	_cleanup_free_ char *path = ssi_path_join(en->folder, parts[i].name);
	struct part *p = &en->parts[i];
	char digest[SSI_HASH_HEX];
	struct file_id now;
	int r = path ? file_id(en->folder, parts[i].name, &now, e) : ssi_errno(e, -ENOMEM, "%s", parts[i].name);

	if (r < 0)
		return r;
	if (memcmp(&now, &p->seen, sizeof(now)) != 0) {
		p->good = (uint64_t)now.size == p->size;
		if (p->good && parts[i].hashed) {
			r = ssi_hash_file(path, digest);
			if (r < 0)
				return ssi_errno(e, r, "%s", parts[i].name);
			p->good = strcmp(digest, p->sha256) == 0;
		}
		p->seen = now;
	}
	return p->good ? 0 : ssi_errf(e, -EBADMSG, "%s is damaged: it is not what manifest.json says", parts[i].name);
}

static int folder_check(struct verify *v, const char *folder, struct ssi_err *e)
{
	struct entry *en = entry_of(v, folder);
	struct file_id now;
	int r = en ? file_id(folder, "manifest.json", &now, e) : ssi_errno(e, -ENOMEM, "manifest.json");

	if (r < 0)
		return r;
	if (memcmp(&now, &en->manifest, sizeof(now)) != 0) {
		r = manifest_read(en, e);
		if (r < 0)
			return r;
		en->manifest = now;
	}
	for (size_t i = 0; r == 0 && i < PARTS; i++)
		r = en->parts[i].none ? 0 : part_check(en, i, e);
	return r;
}

static int folder_check_as(struct verify *v, const char *folder, const char *image, const char *generation, struct ssi_err *e)
{
	struct ssi_err why;
	int r = folder ? folder_check(v, folder, &why) : ssi_errno(&why, -ENOMEM, "path");

	return r < 0 ? ssi_errf(e, r, "image %s, %.19s: %.200s (see 'ssi-mkimage verify', build it again)", image, generation, why.text) : 0;
}

int verify_generation(struct verify *v, const char *store, const char *image, const char *generation, struct ssi_err *e)
{
	_cleanup_free_ char *folder = ssi_path_join3(store, image, generation);

	return folder_check_as(v, folder, image, generation, e);
}

int verify_file(struct verify *v, const char *store, const char *image, const char *generation, const char *name, uint64_t *ret_size,
		char ret_sha256[SSI_HASH_HEX], struct ssi_err *e)
{
	_cleanup_free_ char *folder = ssi_path_join3(store, image, generation);
	int r = folder_check_as(v, folder, image, generation, e);
	struct entry *en = r < 0 ? NULL : entry_of(v, folder);

	if (r < 0)
		return r;
	for (size_t i = 0; en && i < PARTS; i++)
		if (strcmp(parts[i].name, name) == 0 && !en->parts[i].none) {
			*ret_size = en->parts[i].size;
			strcpy(ret_sha256, en->parts[i].sha256);
			return 0;
		}
	return ssi_errf(e, -ENOENT, "image %s, %.19s: no %s in manifest.json", image, generation, name);
}
