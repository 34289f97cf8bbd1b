/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Called by boot.c, exports.c, reload.c and check-shared.c. Only this host's files are asked who its users are, not NIS or LDAP. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "bootsvc/shared.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/file.h"
#include "libssi/base/log.h"
#include "libssi/base/path.h"
#include "libssi/model/users.h"

void shared_text(const char *text, char ret[STATE_SHARED])
{
	struct ssi_shared s;
	size_t n = 0;

	ret[0] = '\0';
	while (n < STATE_SHARED && ssi_shared_next(&text, &s))
		n += (size_t)snprintf(ret + n, STATE_SHARED - n, "%s%s%s", n ? " " : "", s.path, s.root ? ":no_root_squash" : "");
}

struct used { struct daemon *daemon; shared_used_fn fn; void *userdata; };

static void used_text(struct used *u, const char *text, const struct ssi_system *system)
{
	struct ssi_shared s;

	while (ssi_shared_next(&text, &s))
		u->fn(&s, system, u->userdata);
}

static void used_by_boot(const char *node, const char *shared, void *userdata)
{
	struct used *u = userdata;
	const struct ssi_node *n = ssi_registry_node(u->daemon->registry, node);

	if (n)
		used_text(u, shared, n->system);
}

void shared_used(struct daemon *d, bool running, shared_used_fn fn, void *userdata)
{
	struct used u = { d, fn, userdata };
	struct ssi_err e;

	/* nodes.d first: what it says of root counts, for those that run too. */
	for (size_t i = 0; !running && i < d->registry->n_systems; i++)
		used_text(&u, d->registry->systems[i]->shared, d->registry->systems[i]);
	if (state_shared_used(d->state, used_by_boot, &u, &e) < 0)
		log_error("which shared file systems are in use: %s", e.text);
}

static const struct ssi_origin *origin_of(const struct ssi_system *s)
{
	for (size_t i = 0; i < s->n_values; i++)
		if (strcmp(s->values[i].key, "shared") == 0)
			return &s->values[i].from;
	return &s->from;
}

int shared_look(const struct ssi_registry *r, struct ssi_buf *errors)
{
	int result = 0;

	for (size_t i = 0; i < r->n_systems; i++) {
		const char *text = r->systems[i]->shared;
		const struct ssi_origin *from = origin_of(r->systems[i]);
		struct ssi_shared s;
		struct stat st;

		while (ssi_shared_next(&text, &s)) {
			if (stat(s.path, &st) == 0 && S_ISDIR(st.st_mode))
				continue;
			result = -ENOENT;
			ssi_buf_addf(errors, "%s:%u: shared = %s: there is no such folder on this master\n", from->file, from->line, s.path);
		}
	}
	return result;
}

static int users_file(const char *dir, enum ssi_users kind, const char *from, const char *name, struct ssi_err *e)
{
	_cleanup_buf_ struct ssi_buf given = SSI_BUF_INIT;
	_cleanup_free_ char *text = NULL, *path = ssi_path_join(dir, name);
	int r = path ? ssi_file_read(from, SSI_USERS_MAX, &text, NULL) : -ENOMEM;

	if (r == 0)
		r = ssi_users_give(kind, text, &given);
	if (r == 0)
		r = ssi_file_write_if_changed(path, given.data ? given.data : "", given.len, 0644);
	return r < 0 ? ssi_errno(e, r, "%s for the nodes", from) : 0;
}

int shared_users(const char *dir, struct ssi_err *e)
{
	_cleanup_free_ char *folder = ssi_path_join(dir, "users");
	int r;

	if (!folder)
		return ssi_errno(e, -ENOMEM, "users");
	r = ssi_path_mkdirs(folder, 0755);
	if (r < 0)
		return ssi_errno(e, r, "%s", folder);
	r = users_file(folder, SSI_USERS_PASSWD, "/etc/passwd", "passwd", e);
	return r < 0 ? r : users_file(folder, SSI_USERS_GROUP, "/etc/group", "group", e);
}
