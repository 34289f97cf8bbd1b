/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the way from a Spec to what is executed. Called by job.c and attach.c. What came lies in blobs/, for all jobs; a job without
 * Program runs what the node itself has by that name.
 */
#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/path.h"
#include "ssi-keeper/keeper.h"
#include "ssi/rexec/blobs.h"
#include "ssi/rexec/unpack.h"

#define LOAD_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#define LOAD_STREAM 5                /* of the ACKs for what came of blobs */

struct keeper_load {
	struct ssi_unpack *unpack;
	struct ssi_unpacked made;
	uint64_t taken, told;            /* of the data of BLOB since the last NEED */
};

bool load_need(struct keeper *k)
{
	Ssi__Job__Need m = SSI__JOB__NEED__INIT;

	if (k->load) {
		ssi_unpack_need(k->load->unpack, &m);
		k->load->taken = k->load->told = 0;
	}
	attach_say(k, SSI_JOB_NEED, &m.base);
	return !m.n_digests;
}

/* The folder in which unpack.h lays what is executed: root's until that is done, then the user's alone to read. */
static void load_folder(const struct keeper *k, char *ret, size_t n)
{
	snprintf(ret, n, "%s/%s/program", k->run_dir, k->dir);
}

int load_begin(struct keeper *k, struct ssi_err *e)
{
	char dir[PATH_MAX + 80];
	int r = 0;

	if (k->spec->program) {
		k->load = calloc(1, sizeof(*k->load));
		if (!k->load)
			return ssi_errf(e, -ENOMEM, "no memory for a program");
		load_folder(k, dir, sizeof(dir));
		r = ssi_unpack_new(k->spec->program, k->blobs, dir, k->spec->uid, k->spec->gid, &k->load->unpack, e);
	}
	if (r < 0)
		return r;
	return load_need(k);
}

int load_blob(struct keeper *k, const uint8_t *body, size_t n, struct ssi_err *e)
{
	Ssi__Job__Blob *m = ssi__job__blob__unpack(NULL, n, body);
	int r;

	if (!m || !k->load)
		r = ssi_errf(e, -EBADMSG, "a piece of a file that nobody asked for");
	else
		r = ssi_unpack_piece(k->load->unpack, m, e);
	if (r >= 0)
		k->load->taken += m->data.len;
	if (m)
		ssi__job__blob__free_unpacked(m, NULL);
	return r;
}

void load_tell(struct keeper *k)
{
	Ssi__Job__Ack ack = SSI__JOB__ACK__INIT;

	if (!k->load || k->load->taken == k->load->told)
		return;
	ack.stream = LOAD_STREAM;
	ack.offset = k->load->told = k->load->taken;
	attach_say(k, SSI_JOB_ACK, &ack.base);
}

static void load_free(char **list)
{
	for (size_t i = 0; list && list[i]; i++)
		free(list[i]);
	free(list);
}

static char **load_words(size_t n, const ProtobufCBinaryData *words)
{
	char **list = calloc(n + 1, sizeof(*list));

	for (size_t i = 0; list && i < n; i++) {
		list[i] = words[i].len ? strndup((const char *)words[i].data, words[i].len) : strdup("");
		if (!list[i]) {
			load_free(list);
			return NULL;
		}
	}
	return list;
}

/* As execvp(3) finds it, with the job's own PATH. */
static char *load_find(const char *name, char **env)
{
	const char *at = LOAD_PATH;
	char *file;

	if (strchr(name, '/'))
		return strdup(name);
	for (; *env; env++)
		if (!strncmp(*env, "PATH=", 5))
			at = *env + 5;
	for (; (file = ssi_path_search(&at, name)); free(file))
		if (access(file, X_OK) == 0)
			return file;
	return strdup(name);
}

static int load_own(struct keeper *k, struct ssi_err *e)
{
	struct keeper_program *p = &k->program;

	p->argv = load_words(k->spec->n_argv, k->spec->argv);
	p->env = load_words(k->spec->n_env, k->spec->env);
	p->path = p->argv && p->env ? load_find(p->argv[0], p->env) : NULL;
	return p->path ? 0 : ssi_errf(e, -ENOMEM, "no memory for a program's arguments");
}

/*
 * To be read by its user and nobody else. It stays root's: who could make files and folders here could fill /run, and lay out what no agent can remove.
 * A list as of acl(5); where there are none, his group may read it too.
 */
static int load_show(const char *dir, uid_t uid, gid_t gid)
{
	const struct { uint32_t version; struct { uint16_t tag, perm; uint32_t id; } of[5]; } acl = {
		htole32(2), { { htole16(0x01), htole16(7), htole32(-1) }, { htole16(0x02), htole16(5), htole32(uid) }, { htole16(0x04), 0, htole32(-1) },
			      { htole16(0x10), htole16(5), htole32(-1) }, { htole16(0x20), 0, htole32(-1) } } };

	if (lsetxattr(dir, "system.posix_acl_access", &acl, sizeof(acl), 0) == 0)
		return 0;
	return errno != EOPNOTSUPP || lchown(dir, (uid_t)-1, gid) < 0 || chmod(dir, 0750) < 0 ? -1 : 0;
}

/* To a script that the node has where its caller has it, the kernel says its name as it was called: ./configure, not /home/me/configure. */
static void load_script(const struct keeper *k, struct ssi_unpacked *made)
{
	const Ssi__Job__Spec *s = k->spec;
	char *name;

	if (s->program->kind != SSI__JOB__PROGRAM__KIND__SCRIPT || !s->shared_cwd || !memchr(s->argv[0].data, '/', s->argv[0].len))
		return;
	for (size_t i = 1; made->argv[i]; i++)
		if (!strcmp(made->argv[i], s->program->main->path)) {
			name = strndup((const char *)s->argv[0].data, s->argv[0].len);
			if (name) {
				free(made->argv[i]);
				made->argv[i] = name;
			}
			return;
		}
}

int load_program(struct keeper *k, struct ssi_err *e)
{
	const Ssi__Job__Spec *s = k->spec;
	char dir[PATH_MAX + 80];
	int r;

	if (!k->load)
		return load_own(k, e);
	r = ssi_unpack_make(k->load->unpack, s->n_argv, s->argv, s->n_env, s->env, &k->load->made, e);
	load_folder(k, dir, sizeof(dir));
	if (r >= 0 && s->uid && load_show(dir, s->uid, s->gid) < 0)
		r = ssi_errno(e, -errno, "%s", dir);
	if (r >= 0)
		load_script(k, &k->load->made);
	if (r >= 0)
		k->program = (struct keeper_program){ k->load->made.path, k->load->made.argv, k->load->made.env, k->load->made.layers, k->load->made.n_layers };
	return r;
}

void load_clear(struct keeper *k)
{
	if (!k->load) {
		load_free(k->program.argv);
		load_free(k->program.env);
		free(k->program.path);
	} else {
		ssi_unpacked_free(&k->load->made);
		ssi_unpack_free(k->load->unpack);
		free(TAKE_PTR(k->load));
	}
	ssi_blobs_close(TAKE_PTR(k->blobs));
	k->program = (struct keeper_program){ 0 };
}
