/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads services.d. The files lie on the root, which may not answer, so supervise.c calls this in a child and takes the table from shared memory. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "libssi/base/buf.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/file.h"
#include "libssi/base/log.h"
#include "libssi/base/path.h"
#include "libssi/model/conf.h"
#include "ssi-init/service.h"

enum { KEY_COMMAND, KEY_RESTART };

static int service_check_command(const char *value, struct ssi_err *e)
{
	char buf[SERVICE_COMMAND], *words[SERVICE_WORDS + 1];
	int n = service_words(value, buf, words);

	if (n == -E2BIG)
		return ssi_errf(e, n, "longer than %d words or %d bytes", SERVICE_WORDS, SERVICE_COMMAND - 1);
	if (n < 0)
		return ssi_errf(e, n, "a quote without its other one");
	return n == 0 || words[0][0] != '/' ? ssi_errf(e, -EINVAL, "not a program by its whole path, such as /usr/sbin/sshd -D") : 0;
}

static const struct ssi_conf_key keys[] = {
	{ .name = "command", .check = service_check_command, .id = KEY_COMMAND },
	{ .name = "restart", .words = "always on-failure no", .id = KEY_RESTART },
	{ 0 },
};
static const struct ssi_conf_section sections[] = { { .kind = "service", .keys = keys }, { 0 } };

static void service_entry(struct ssi_conf *c, const struct ssi_conf_section *s, const struct ssi_conf_key *k, const char *key,
			  const char *value, void *userdata)
{
	struct service *v = userdata;

	if (k->id == KEY_COMMAND)
		snprintf(v->command, sizeof(v->command), "%s", value);
	else
		v->restart = *value == 'a' ? SERVICE_ALWAYS : *value == 'o' ? SERVICE_ON_FAILURE : SERVICE_NO;
}

static bool service_has_ini(const char *name)
{
	size_t len = strlen(name);

	return len > 4 && !strcmp(name + len - 4, ".ini");
}

int service_parse(const char *file, const char *text, size_t len, struct service *ret, struct ssi_err *e)
{
	_cleanup_buf_ struct ssi_buf said = SSI_BUF_INIT;
	const struct ssi_conf_ops ops = { .entry = service_entry };
	struct ssi_conf_errors errors = { .to = &said };
	struct service v = { 0 };
	const char *base = strrchr(file, '/');
	int r = ssi_conf_parse(file, text, len, sections, &ops, &v, &errors);

	base = base ? base + 1 : file;
	if (r == 0 && !errors.n && !v.command[0])
		ssi_conf_error(&errors, file, 0, "[service] has no command");
	if (r == 0)
		r = ssi_conf_errors_end(&errors);
	if (r < 0)
		return ssi_errf(e, r, "%.*s", (int)strcspn(said.data ?: "", "\n"), said.data ?: "out of memory");
	snprintf(v.name, sizeof(v.name), "%.*s", (int)(service_has_ini(base) ? strlen(base) - 4 : strlen(base)), base);
	*ret = v;
	return 0;
}

int service_words(const char *command, char buf[SERVICE_COMMAND], char *ret[SERVICE_WORDS + 1])
{
	char *to = buf;
	int n = 0;

	if (strlen(command) >= SERVICE_COMMAND)
		return -E2BIG;
	for (const char *p = command; *(p += strspn(p, " \t"));) {
		bool quoted = false;

		if (n == SERVICE_WORDS)
			return -E2BIG;
		ret[n++] = to;
		for (; *p && (quoted || (*p != ' ' && *p != '\t')); p++) {
			if (*p == '"')
				quoted = !quoted;
			else
				*to++ = *p;
		}
		if (quoted)
			return -EINVAL;
		*to++ = '\0';
	}
	ret[n] = NULL;
	return n;
}

static int service_is_ini(const struct dirent *de)
{
	return de->d_name[0] != '.' && service_has_ini(de->d_name);
}

static void service_load_one(const char *dir, const char *name, struct service_table *t)
{
	_cleanup_free_ char *path = ssi_path_join(dir, name), *text = NULL;
	struct ssi_err e = { 0 };
	size_t len;
	int r = path ? ssi_file_read(path, SSI_CONF_FILE_MAX, &text, &len) : -ENOMEM;

	if (r < 0)
		ssi_errno(&e, r, "%s/%s", dir, name);
	else if (t->n == SERVICES_MAX)
		r = ssi_errf(&e, -E2BIG, "%s: more than %d services", path, SERVICES_MAX);
	else
		r = service_parse(path, text, len, &t->s[t->n], &e);
	if (r < 0)
		log_error("%s: this service is left out", e.text);
	else
		t->n++;
}

int service_load(const char *dir, struct service_table *ret)
{
	struct dirent **list = NULL;
	int n = scandir(dir, &list, service_is_ini, alphasort);

	ret->n = 0;
	if (n < 0)
		return errno == ENOENT ? 0 : -errno;
	for (int i = 0; i < n; i++) {
		service_load_one(dir, list[i]->d_name, ret);
		free(list[i]);
	}
	free(list);
	return 0;
}
