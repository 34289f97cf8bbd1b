/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the agent's files in /run/ssi (doc/boot.md, files on a node). Called once at the start, and when something is to be remembered there. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "libssi/base/buf.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/fd.h"
#include "libssi/base/file.h"
#include "libssi/base/hash.h"
#include "libssi/base/num.h"
#include "ssi-agent/agent.h"

#define CONFIG_MAX 16384
#define CONFIG_NO_TOKEN " ssi.token=0000000000000000000000000000000000000000000000000000000000000000"

static void config_path(const struct agent *a, const char *name, char ret[256])
{
	snprintf(ret, 256, "%s/%s", a->run_dir, name);
}

/* The file has every word but the token, which is worthless by now: any stands for it. */
static int config_bootargs(struct agent *a, struct ssi_err *e)
{
	_cleanup_buf_ struct ssi_buf words = SSI_BUF_INIT;
	_cleanup_free_ char *text = NULL;
	char path[256];
	int r;

	config_path(a, "bootargs", path);
	r = ssi_file_read(path, CONFIG_MAX, &text, NULL);
	if (r < 0)
		return ssi_errno(e, r, "%s", path);
	ssi_buf_adds(&words, text);
	if (ssi_buf_adds(&words, CONFIG_NO_TOKEN) < 0)
		return ssi_errf(e, -ENOMEM, "no memory");
	r = ssi_bootargs_parse(words.data, &a->bootargs, e);
	if (r < 0)
		return ssi_err_prefix(e, "%s", path), r;
	if (!a->bootargs.node[0] || !a->bootargs.master.s_addr || !a->bootargs.incarnation)
		return ssi_errf(e, -ENODATA, "%s: no ssi.node, ssi.master and ssi.inc: this machine booted by itself and is no node", path);
	return 0;
}

int config_load(struct agent *a, struct ssi_err *e)
{
	char path[256], hex[2 * SSI_CCM_KEY + 2];
	int r;

	r = config_bootargs(a, e);
	if (r < 0)
		return r;
	config_path(a, "node.key", path);
	r = ssi_file_read_line(path, hex, sizeof(hex));
	if (r < 0)
		return ssi_errno(e, r, "%s", path);
	r = ssi_hash_unhex(hex, a->key, sizeof(a->key));
	explicit_bzero(hex, sizeof(hex));
	return r < 0 ? ssi_errf(e, r, "%s: not a key of 64 hexadecimal digits", path) : 0;
}

bool config_was_joined(const struct agent *a)
{
	char path[256], line[32];
	uint64_t incarnation;

	config_path(a, "joined", path);
	return ssi_file_read_line(path, line, sizeof(line)) >= 0 && ssi_num_u64(line, 0, UINT64_MAX, &incarnation) >= 0 &&
	       incarnation == a->bootargs.incarnation;
}

void config_set_joined(const struct agent *a)
{
	char path[256], line[32];
	int n = snprintf(line, sizeof(line), "%" PRIu64 "\n", a->bootargs.incarnation);

	config_path(a, "joined", path);
	ssi_file_write_atomic(path, line, (size_t)n, 0644);
}

size_t config_stages(const struct agent *a, struct ssi_boot_stage *ret, size_t max)
{
	_cleanup_free_ char *text = NULL;
	char path[256], *save, *line;
	size_t n = 0;

	config_path(a, "timeline", path);
	if (ssi_file_read(path, CONFIG_MAX, &text, NULL) < 0)
		return 0;
	for (line = strtok_r(text, "\n", &save); line && n < max; line = strtok_r(NULL, "\n", &save))
		if (sscanf(line, "%31s %" SCNu64 " %" SCNu64 " %" SCNu32, ret[n].name, &ret[n].start_ms, &ret[n].end_ms, &ret[n].tries) == 4)
			n++;
	return n;
}

void config_add_stage(const struct agent *a, const struct ssi_boot_stage *s)
{
	_cleanup_close_ int fd = -1;
	char path[256], line[96];
	int n;

	config_path(a, "timeline", path);
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return;
	n = snprintf(line, sizeof(line), "%s %" PRIu64 " %" PRIu64 " %" PRIu32 "\n", s->name, s->start_ms, s->end_ms, s->tries);
	ssi_fd_write_all(fd, line, (size_t)n);
}

bool config_shutdown(const struct agent *a, char *ret_reason, size_t n)
{
	char path[256];

	config_path(a, "shutdown", path);
	return ssi_file_read_line(path, ret_reason, n) >= 0;
}
