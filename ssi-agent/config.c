/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the agent's files in /run/ssi (doc/boot.md, files on a node), its working directory. Called once at the start, and when something is to
 * be remembered there.
 */
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

/* The file has every word but the token, which is worthless by now: any stands for it. */
static int config_bootargs(struct agent *a, struct ssi_err *e)
{
	_cleanup_buf_ struct ssi_buf words = SSI_BUF_INIT;
	_cleanup_free_ char *text = NULL;
	int r;

	r = ssi_file_read("bootargs", CONFIG_MAX, &text, NULL);
	if (r < 0)
		return ssi_errno(e, r, "%s/bootargs", a->run_dir);
	ssi_buf_adds(&words, text);
	if (ssi_buf_adds(&words, CONFIG_NO_TOKEN) < 0)
		return ssi_errf(e, -ENOMEM, "no memory");
	r = ssi_bootargs_parse(words.data, &a->bootargs, e);
	if (r < 0)
		return ssi_err_prefix(e, "%s/bootargs", a->run_dir), r;
	if (!a->bootargs.node[0] || !a->bootargs.number || !a->bootargs.master.s_addr || !a->bootargs.incarnation)
		return ssi_errf(e, -ENODATA, "%s/bootargs: no ssi.node, ssi.number, ssi.master and ssi.inc: this machine booted by itself and is no node", a->run_dir);
	return 0;
}

int config_load(struct agent *a, struct ssi_err *e)
{
	char hex[2 * SSI_CCM_KEY + 2];
	int r;

	r = config_bootargs(a, e);
	if (r < 0)
		return r;
	r = ssi_file_read_line("node.key", hex, sizeof(hex));
	if (r < 0)
		return ssi_errno(e, r, "%s/node.key", a->run_dir);
	r = ssi_hash_unhex(hex, a->key, sizeof(a->key));
	explicit_bzero(hex, sizeof(hex));
	return r < 0 ? ssi_errf(e, r, "%s/node.key: not a key of 64 hexadecimal digits", a->run_dir) : 0;
}

bool config_was_joined(const struct agent *a)
{
	char line[32];
	uint64_t incarnation;

	return ssi_file_read_line("joined", line, sizeof(line)) >= 0 && ssi_num_u64(line, 0, UINT64_MAX, &incarnation) >= 0 &&
	       incarnation == a->bootargs.incarnation;
}

void config_set_joined(const struct agent *a)
{
	char line[32];
	int n = snprintf(line, sizeof(line), "%" PRIu64 "\n", a->bootargs.incarnation);

	ssi_file_write_atomic("joined", line, (size_t)n, 0644);
}

size_t config_stages(struct ssi_boot_stage *ret, size_t max)
{
	_cleanup_free_ char *text = NULL;
	char *save, *line;
	size_t n = 0;

	if (ssi_file_read("timeline", CONFIG_MAX, &text, NULL) < 0)
		return 0;
	for (line = strtok_r(text, "\n", &save); line && n < max; line = strtok_r(NULL, "\n", &save))
		if (sscanf(line, "%31s %" SCNu64 " %" SCNu64 " %" SCNu32, ret[n].name, &ret[n].start_ms, &ret[n].end_ms, &ret[n].tries) == 4)
			n++;
	return n;
}

void config_add_stage(const struct ssi_boot_stage *s)
{
	_cleanup_close_ int fd = -1;
	char line[96];
	int n;

	fd = open("timeline", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return;
	n = snprintf(line, sizeof(line), "%s %" PRIu64 " %" PRIu64 " %" PRIu32 "\n", s->name, s->start_ms, s->end_ms, s->tries);
	ssi_fd_write_all(fd, line, (size_t)n);
}

bool config_shutdown(char *ret_reason, size_t n)
{
	return ssi_file_read_line("shutdown", ret_reason, n) >= 0;
}
