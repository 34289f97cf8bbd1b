/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns a program that came: whether it can be one, which of its files the node has, and the pieces of those that it has not. Called by keepers. Whom a file of
 * the node belongs to is not asked, only whether everybody may read it: what a program is compared with must be no secret of the node's.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/path.h"
#include "ssi/rexec/digests.h"
#include "ssi/rexec/libs.h"
#include "ssi/rexec/platform.h"
#include "ssi/rexec/tree.h"
#include "ssi/rexec/unpack-internal.h"

#define UNPACK_LIBRARIES 512
#define UNPACK_TREES 2
#define UNPACK_SIZE ((uint64_t)1 << 40)
#define UNPACK_PIECE (256u << 10)        /* what a piece may become */

const char *unpack_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* --- can it be one? --- */

static bool unpack_is_file(const Ssi__Job__File *m, bool digest)
{
	const char *base = m ? unpack_base(m->path) : "";

	if (!*base || !strcmp(base, ".") || !strcmp(base, "..") || m->path[0] != '/' || strlen(m->path) >= PATH_MAX || strlen(base) > NAME_MAX)
		return false;
	return (m->digest.len == SSI_HASH_BYTES || (!digest && !m->digest.len)) && m->size <= UNPACK_SIZE;
}

static bool unpack_is_tree(const Ssi__Job__Program *m, const Ssi__Job__Tree *t)
{
	bool beside = t->kind == SSI__JOB__TREE__KIND__BESIDE;

	if (!beside && t->kind != SSI__JOB__TREE__KIND__LIBRARY)
		return false;
	if (beside && m->kind != SSI__JOB__PROGRAM__KIND__SCRIPT)
		return false;
	return unpack_is_file(t->archive, true) && t->entries <= SSI_TREE_ENTRIES && t->cost <= SSI_TREE_BYTES;
}

static int unpack_check(const Ssi__Job__Program *m, struct ssi_err *e)
{
	bool script = m->kind == SSI__JOB__PROGRAM__KIND__SCRIPT, dynamic = m->kind == SSI__JOB__PROGRAM__KIND__DYNAMIC;
	bool whole = unpack_is_file(m->main, true) && (script || dynamic || m->kind == SSI__JOB__PROGRAM__KIND__STATIC) && m->machine <= UINT16_MAX;

	if (dynamic || m->interpreter)
		whole = whole && unpack_is_file(m->interpreter, false);
	if (script)
		whole = whole && unpack_is_file(m->script_interpreter, true);
	if (m->n_libraries > UNPACK_LIBRARIES || m->n_script_args > 1 || (m->n_libraries && !m->interpreter) || (!script && m->script_interpreter))
		whole = false;
	for (size_t i = 0; whole && i < m->n_libraries; i++)
		whole = unpack_is_file(m->libraries[i], true);
	if (m->n_trees > UNPACK_TREES || m->tree_libraries > m->n_libraries)
		whole = false;
	for (size_t i = 0; whole && i < m->n_trees; i++)
		whole = unpack_is_tree(m, m->trees[i]) && (!i || m->trees[i]->kind != m->trees[0]->kind);
	return whole ? 0 : ssi_errf(e, -EBADMSG, "this cannot be a program: its files are not what they should be");
}

static int unpack_machine(const struct ssi_unpack *u, struct ssi_err *e)
{
	struct utsname own;

	uname(&own);
	return ssi_platform_check(u->elf->m->path, (uint16_t)u->program->machine, u->program->x86_level, "this node", own.machine, ssi_platform_level(), e);
}

/* --- what is here --- */

/* As the user: the path is his word, and to open a device does things (/dev/watchdog). */
int unpack_open(const struct ssi_unpack *u, const char *path)
{
	int fd = -1;

	setfsgid(u->gid);
	setfsuid(u->uid);
	if ((uid_t)setfsuid((uid_t)-1) == u->uid)
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	setfsuid(geteuid());
	setfsgid(getegid());
	return fd;
}

static bool unpack_is_own(const struct ssi_unpack *u, struct ssi_digests *d, const Ssi__Job__File *m, bool run)
{
	_cleanup_close_ int fd = unpack_open(u, m->path);
	uint8_t digest[SSI_HASH_BYTES];
	mode_t may = run ? S_IROTH | S_IXOTH : S_IROTH;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (st.st_mode & may) != may)
		return false;
	if (!m->digest.len)
		return true;
	return (uint64_t)st.st_size == m->size && ssi_digests_of(d, fd, &st, digest) == 0 && memcmp(digest, m->digest.data, sizeof(digest)) == 0;
}

static int unpack_pin(struct ssi_unpack *u, struct unpack_file *f, struct ssi_err *e)
{
	int r = f->own || f->here ? 0 : ssi_blobs_pin(u->blobs, f->m->digest.data, u->pins, e);

	f->here = f->here || r > 0;
	return r;
}

static struct unpack_file *unpack_add(struct ssi_unpack *u, const Ssi__Job__File *m)
{
	struct unpack_file *f = &u->files[u->n_files++];

	f->m = m;
	if (m->digest.len)
		ssi_hash_hex(m->digest.data, m->digest.len, f->hex);
	return f;
}

static int unpack_files(struct ssi_unpack *u, struct ssi_err *e)
{
	const Ssi__Job__Program *m = u->program;
	size_t n = 3 + m->n_libraries + m->n_trees;

	u->files = ssi_arena_alloc(&u->arena, n * sizeof(*u->files));
	u->need = ssi_arena_alloc(&u->arena, n * sizeof(*u->need));
	u->folders = NULL;
	if (!u->files || !u->need)
		return ssi_errf(e, -ENOMEM, "no memory for a program");
	u->main = u->elf = unpack_add(u, m->main);
	if (m->script_interpreter)
		u->elf = unpack_add(u, m->script_interpreter);
	if (m->interpreter)
		u->interpreter = unpack_add(u, m->interpreter);
	u->libraries = &u->files[u->n_files];
	for (size_t i = 0; i < m->n_libraries; i++)
		unpack_add(u, m->libraries[i]);
	u->trees = &u->files[u->n_files];
	for (size_t i = 0; i < m->n_trees; i++)
		unpack_add(u, m->trees[i]->archive);
	return 0;
}

/* Where the interpreter is the node's own its library is, too, if there is one; and so is what lies beside a script that is the node's own. */
static void unpack_look_trees(struct ssi_unpack *u)
{
	struct stat st;

	for (size_t i = 0; i < u->program->n_trees; i++) {
		const Ssi__Job__Tree *t = u->program->trees[i];

		if (t->kind == SSI__JOB__TREE__KIND__BESIDE)
			u->trees[i].own = u->main->own;
		else
			u->trees[i].own = u->elf->own && stat(t->archive->path, &st) == 0 && S_ISDIR(st.st_mode);
		for (struct unpack_file *f = u->trees - u->program->tree_libraries; u->trees[i].own && t->kind == SSI__JOB__TREE__KIND__LIBRARY && f < u->trees; f++)
			f->own = f->spare = true;
	}
}

static int unpack_look(struct ssi_unpack *u, struct ssi_err *e)
{
	_cleanup_free_ char *path = ssi_path_join(ssi_blobs_path(u->blobs), ".digests");
	struct ssi_digests *d = ssi_digests_open(path);
	int r = 0;

	for (struct unpack_file *f = u->files; f < u->trees; f++) {
		f->own = unpack_is_own(u, d, f->m, f == u->elf || f == u->interpreter);
		if (!f->own && ssi_libs_is_libc(unpack_base(f->m->path)) && f >= u->libraries)
			u->foreign = true;
	}
	ssi_digests_close(d);
	if (u->interpreter && !u->interpreter->own)
		u->foreign = true;
	unpack_look_trees(u);
	if (u->interpreter && !u->interpreter->own && !u->interpreter->m->digest.len)
		return ssi_errf(e, -ELIBACC, "%s needs the interpreter %s, which this node has not", u->elf->m->path, u->interpreter->m->path);
	for (size_t i = 0; i < u->n_files && r >= 0; i++)
		r = unpack_pin(u, &u->files[i], e);
	return r < 0 ? r : 0;
}

int ssi_unpack_new(const Ssi__Job__Program *program, struct ssi_blobs *blobs, const char *dir, uid_t uid, gid_t gid,
		   struct ssi_unpack **ret, struct ssi_err *e)
{
	struct ssi_unpack *u;
	struct utsname own;
	int r = unpack_check(program, e);

	if (r < 0)
		return r;
	u = calloc(1, sizeof(*u));
	if (!u)
		return ssi_errf(e, -ENOMEM, "no memory for a program");
	u->program = program;
	u->blobs = blobs;
	u->uid = uid;
	u->gid = gid;
	u->dir = ssi_arena_strdup(&u->arena, dir);
	u->pins = ssi_arena_printf(&u->arena, "%s/pin", dir);
	r = unpack_files(u, e);
	if (r >= 0)
		r = unpack_machine(u, e);
	uname(&own);
	u->folders = ssi_libs_folders(own.machine);
	if (r >= 0 && (u->arena.failed || !u->folders))
		r = ssi_errf(e, -ENOMEM, "no memory for a program");
	if (r >= 0 && mkdir(u->pins, 0700) < 0 && errno != EEXIST)
		r = ssi_errno(e, -errno, "%s", u->pins);
	if (r >= 0)
		r = unpack_look(u, e);
	if (r < 0) {
		ssi_unpack_free(u);
		return r;
	}
	*ret = u;
	return 0;
}

void ssi_unpack_free(struct ssi_unpack *u)
{
	if (!u)
		return;
	ssi_blob_drop(u->writer);
	ssi_libs_free(u->folders);
	free(u->raw);
	ssi_arena_free(&u->arena);
	free(u);
}

/* --- what comes --- */

/* The same file may be there under two paths; it comes once. */
static bool unpack_first(const struct ssi_unpack *u, const struct unpack_file *f)
{
	for (const struct unpack_file *o = u->files; o < f; o++)
		if (!o->own && !o->here && !strcmp(o->hex, f->hex))
			return false;
	return true;
}

static struct unpack_file *unpack_next(struct ssi_unpack *u)
{
	for (size_t i = 0; i < u->n_files; i++)
		if (!u->files[i].own && !u->files[i].here)
			return &u->files[i];
	return NULL;
}

size_t ssi_unpack_need(struct ssi_unpack *u, Ssi__Job__Need *m)
{
	ssi__job__need__init(m);
	m->digests = u->need;
	ssi_blob_drop(u->writer);
	u->writer = NULL;
	for (size_t i = 0; i < u->n_files; i++) {
		struct unpack_file *f = &u->files[i];

		/* Another job may have brought it meanwhile. */
		if (!f->own && !f->here && unpack_pin(u, f, NULL) <= 0 && unpack_first(u, f))
			u->need[m->n_digests++] = f->m->digest;
	}
	return m->n_digests;
}

static int unpack_done(struct ssi_unpack *u, const struct unpack_file *f, struct ssi_err *e)
{
	struct ssi_blob_writer *w = u->writer;
	int r;

	u->writer = NULL;
	r = ssi_blob_finish(w, u->pins, e);
	if (r < 0)
		return ssi_err_prefix(e, "%s", f->m->path);
	for (size_t i = 0; i < u->n_files; i++)
		if (!u->files[i].own && !strcmp(u->files[i].hex, f->hex))
			u->files[i].here = true;
	return unpack_next(u) == NULL;
}

/* One that was on its way when another job had brought the file. */
static bool unpack_is_here(const struct ssi_unpack *u, const Ssi__Job__Blob *m)
{
	for (size_t i = 0; i < u->n_files; i++)
		if ((u->files[i].own || u->files[i].here) && u->files[i].m->digest.len && m->digest.len == SSI_HASH_BYTES &&
		    memcmp(m->digest.data, u->files[i].m->digest.data, SSI_HASH_BYTES) == 0)
			return true;
	return false;
}

int ssi_unpack_piece(struct ssi_unpack *u, const Ssi__Job__Blob *m, struct ssi_err *e)
{
	struct unpack_file *f = unpack_next(u);
	const uint8_t *data = m->data.data;
	size_t n = m->data.len;
	int r = 0;

	if (unpack_is_here(u, m))
		return 0;
	if (!f || m->digest.len != SSI_HASH_BYTES || memcmp(m->digest.data, f->m->digest.data, SSI_HASH_BYTES) != 0 || m->size != f->m->size)
		return ssi_errf(e, -EBADMSG, "a piece of a file came that was not asked for");
	if (m->zstd && !u->raw)
		u->raw = malloc(UNPACK_PIECE);
	if (m->zstd && !u->raw)
		return ssi_errf(e, -ENOMEM, "no memory for a program");
	if (m->zstd) {
		n = ZSTD_decompress(u->raw, UNPACK_PIECE, data, n);
		if (ZSTD_isError(n))
			return ssi_errf(e, -EBADMSG, "%s: a piece that cannot be decompressed: %s", f->m->path, ZSTD_getErrorName(n));
		data = u->raw;
	}
	if (!u->writer)
		r = ssi_blobs_write(u->blobs, f->m->digest.data, f->m->size, &u->writer, e);
	if (r >= 0)
		r = ssi_blob_add(u->writer, m->offset, data, n, e);
	if (r < 0)
		return ssi_err_prefix(e, "%s", f->m->path);
	return ssi_blob_have(u->writer) == f->m->size ? unpack_done(u, f, e) : 0;
}
