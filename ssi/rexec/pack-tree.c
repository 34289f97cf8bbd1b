/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an interpreter reads once it runs, which no ELF file names: the standard library of Python and Perl, and modules that lie beside a script. Called by
 * pack.c. Found by the rules that they have for it, nothing is executed: Python's from where its program lies, Perl's from the folders that are written in
 * it. Of Python what is installed besides (site-packages, dist-packages) does not travel, but for a virtual environment of its own.
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "ssi/rexec/pack-internal.h"
#include "ssi/rexec/tree.h"

#define TREE_PROGRAM (16u << 20)         /* a perl is not larger */
#define TREE_BESIDE 2000                 /* files, and bytes, beside a script */
#define TREE_BESIDE_BYTES ((uint64_t)16 << 20)

enum tree_kind { TREE_NONE, TREE_PYTHON, TREE_PERL };

/* Not for who runs a program, and large. */
static const char *const tree_leave[] = { "*.a", "*.o", "*.h", "test", "tests", "idlelib", "turtledemo", "ensurepip", "lib2to3", "config-*", "site-packages",
	"dist-packages", "site_perl", NULL };
static const char *const tree_leave_venv[] = { "*.a", "*.o", "*.h", NULL };
static const char *const tree_leave_beside[] = { ".*", "__pycache__", NULL };

/* "python3.11" or "perl", "perl5.36.0". */
static enum tree_kind tree_kind(const char *real)
{
	const char *base = strrchr(real, '/') + 1;

	if (!strncmp(base, "python", 6) && isdigit((unsigned char)base[6]) && base[7] == '.' && base[8] && base[8 + strspn(base + 8, "0123456789")] == '\0')
		return TREE_PYTHON;
	return !strncmp(base, "perl", 4) && base[4 + strspn(base + 4, "0123456789.")] == '\0' ? TREE_PERL : TREE_NONE;
}

/* Where a node lays it over its own: what systems keep there. */
static bool tree_may(const char *path)
{
	return (!strncmp(path, "/usr/", 5) || !strncmp(path, "/opt/", 5)) && !strstr(path, "/../") && !strstr(path, "/./") && !strstr(path, "//");
}

/* As an absolute path of the same name. What is not there is none of it. */
static int tree_add(struct pack_walk *w, const char *path, struct ssi_err *e)
{
	return tree_may(path) && access(path, R_OK) == 0 ? pack_walk_add(w, path, path + 1, e) : 0;
}

/* --- Python --- */

/* PREFIX/bin/python3.11 has PREFIX/lib/python3.11, which is known by its os.py. */
static int tree_python(struct pack_walk *w, const char *real, const char **ret_name, struct ssi_err *e)
{
	static const char *const libs[] = { "lib", "lib64" };
	const char *base = strrchr(real, '/'), *up = base;
	int r = 0;

	while (up > real && *--up != '/')
		;
	for (size_t i = 0; i < 2 && r >= 0; i++) {
		const char *path = ssi_arena_printf(&w->p->arena, "%.*s/%s%s", (int)(up - real), real, libs[i], base);
		const char *mark = path ? ssi_arena_printf(&w->p->arena, "%s/os.py", path) : NULL;

		if (!mark)
			return ssi_errf(e, -ENOMEM, "no memory for %s", real);
		if (tree_may(path) && access(mark, R_OK) == 0)
			*ret_name = path;
		r = tree_add(w, path, e);
	}
	return r;
}

/* A virtual environment: pyvenv.cfg lies above the program as it was called, and says where the rest is. */
static int tree_venv(struct pack_walk *w, const char *real, struct ssi_err *e)
{
	const char *path = w->p->elf->path, *end = strrchr(path, '/');
	const char *config, *packages;
	int r;

	while (end > path && *--end != '/')
		;
	config = ssi_arena_printf(&w->p->arena, "%.*s/pyvenv.cfg", (int)(end - path), path);
	packages = ssi_arena_printf(&w->p->arena, "%.*s/lib%s", (int)(end - path), path, strrchr(real, '/'));
	if (!config || !packages)
		return ssi_errf(e, -ENOMEM, "no memory for %s", real);
	if (!tree_may(config) || access(config, R_OK) < 0)
		return 0;
	w->leave = tree_leave_venv;
	r = tree_add(w, config, e);
	return r < 0 ? r : tree_add(w, packages, e);
}

/* --- Perl --- */

/* The folders that it looks into are text in it, or in its library. A root of another one is a part of that. */
static int tree_perl_in(struct pack_walk *w, const struct pack_file *f, const char **ret_name, struct ssi_err *e)
{
	size_t n = f->st.st_size < TREE_PROGRAM ? (size_t)f->st.st_size : TREE_PROGRAM;
	_cleanup_free_ char *text = malloc(n + 1);
	ssize_t got = text ? pread(f->fd, text, n, 0) : -1;
	int r = 0;

	if (got < 0)
		return text ? ssi_errno(e, -errno, "%s", f->path) : ssi_errf(e, -ENOMEM, "no memory for %s", f->path);
	text[got] = '\0';
	for (char *at = text; r >= 0 && (at = memmem(at, (size_t)(text + got - at), "/usr/", 5)); at += 5) {
		char real[PATH_MAX], path[256];
		size_t len = strcspn(at, ":");

		if ((at > text && at[-1] && at[-1] != ':') || len >= sizeof(path))
			continue;
		memcpy(path, at, len);
		path[len] = '\0';
		if (!strstr(path, "/perl") || !tree_may(path) || strstr(path, "/bin") || !realpath(path, real) || !tree_may(real))
			continue;
		if (!*ret_name && strcmp(path, real) == 0)
			*ret_name = ssi_arena_strdup(&w->p->arena, path);
		r = tree_add(w, path, e);
		if (r >= 0 && strcmp(path, real) != 0)
			r = tree_add(w, real, e);
	}
	return r;
}

static int tree_perl(struct pack_walk *w, const char **ret_name, struct ssi_err *e)
{
	int r = tree_perl_in(w, w->p->elf, ret_name, e);

	for (size_t i = 0; i < w->p->n_files && r >= 0; i++)
		if (strstr(w->p->files[i]->path, "/libperl.so"))
			r = tree_perl_in(w, w->p->files[i], ret_name, e);
	return r;
}

/* --- the message --- */

static int tree_message(struct pack_walk *w, Ssi__Job__Tree__Kind kind, const char *name, struct ssi_err *e)
{
	struct ssi_pack *p = w->p;
	Ssi__Job__Tree *m = ssi_arena_alloc(&p->arena, sizeof(*m));
	const char **libs = NULL;
	char key[SSI_HASH_HEX];
	struct pack_file *f;
	size_t n_libs = 0;
	int r;

	if (!m)
		return ssi_errf(e, -ENOMEM, "no memory for %s", name);
	pack_walk_end(w, key);
	r = pack_archive(w, key, name, &f, &libs, &n_libs, e);
	if (r < 0)
		return r;
	ssi__job__tree__init(m);
	m->kind = kind;
	m->archive = &f->message;
	m->entries = (uint32_t)w->n;
	m->cost = w->cost;
	if (ssi_arena_push(&p->arena, &p->program.trees, &p->program.n_trees, m) < 0)
		return ssi_errf(e, -ENOMEM, "no memory for %s", name);
	return kind == SSI__JOB__TREE__KIND__LIBRARY ? pack_libs_more(p, libs, n_libs, e) : 0;
}

static int tree_library(struct ssi_pack *p, enum tree_kind kind, const char *real, struct ssi_err *e)
{
	struct pack_walk w = { .p = p, .leave = tree_leave, .max = SSI_TREE_ENTRIES, .max_cost = SSI_TREE_BYTES };
	const char *name = NULL;
	int r = kind == TREE_PYTHON ? tree_python(&w, real, &name, e) : tree_perl(&w, &name, e);

	if (r >= 0 && name && kind == TREE_PYTHON)
		r = tree_venv(&w, real, e);
	return r < 0 || !name ? r : tree_message(&w, SSI__JOB__TREE__KIND__LIBRARY, name, e);
}

/* --- beside the script --- */

static bool tree_is_module(enum tree_kind kind, const char *folder, const char *name)
{
	char mark[PATH_MAX];
	size_t n = strlen(name);

	if (kind == TREE_PERL)
		return (n > 3 && !strcmp(name + n - 3, ".pm")) || !strcmp(name, "lib");
	if (n > 3 && !strcmp(name + n - 3, ".py"))
		return true;
	return snprintf(mark, sizeof(mark), "%s/%s/__init__.py", folder, name) < (int)sizeof(mark) && access(mark, R_OK) == 0;
}

/* What lies in the folder of the script itself, links followed: there its interpreter would look. */
static int tree_beside(struct ssi_pack *p, enum tree_kind kind, const struct pack_file *script, struct ssi_err *e)
{
	struct pack_walk w = { .p = p, .leave = tree_leave_beside, .max = TREE_BESIDE, .max_cost = TREE_BESIDE_BYTES };
	_cleanup_free_ char *folder = realpath(script->path, NULL);
	_cleanup_closedir_ DIR *d = NULL;
	char *base = folder ? strrchr(folder, '/') : NULL;
	struct dirent *de;
	int r = 0;

	if (!base)
		return 0;
	*base++ = '\0';
	d = opendir(*folder ? folder : "/");
	while (d && r >= 0 && (de = readdir(d))) {
		_cleanup_free_ char *path = NULL;

		if (de->d_name[0] == '.' || !strcmp(de->d_name, base) || !tree_is_module(kind, folder, de->d_name))
			continue;
		if (asprintf(&path, "%s/%s", folder, de->d_name) < 0) {
			path = NULL;
			return ssi_errf(e, -ENOMEM, "no memory for %s", script->path);
		}
		r = pack_walk_add(&w, path, de->d_name, e);
	}
	return r < 0 || !w.n ? r : tree_message(&w, SSI__JOB__TREE__KIND__BESIDE, script->path, e);
}

int pack_trees(struct ssi_pack *p, const struct pack_file *script, struct ssi_err *e)
{
	_cleanup_free_ char *real = realpath(p->elf->path, NULL);
	enum tree_kind kind = real ? tree_kind(real) : TREE_NONE;
	int r;

	if (kind == TREE_NONE || (p->program.interpreter && !p->program.interpreter->digest.len))
		return 0;
	/* More than the bounds stays at home: then the node's own has to do, or a shared folder. */
	r = tree_library(p, kind, real, e);
	if (script && (r >= 0 || r == -E2BIG))
		r = tree_beside(p, kind, script, e);
	return r == -E2BIG ? 0 : r;
}
