/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns how the texts of /proc/PID are read (proc_pid_stat(5), proc_pid_status(5)). Called by procs-read.c, for each process each second: no sscanf. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "ssi-agent/procs-read.h"

/* The numbers behind the state, as they are counted in proc_pid_stat(5). */
enum { STAT_PPID = 4, STAT_PGRP, STAT_SESSION, STAT_TTY, STAT_TPGID, STAT_FLAGS, STAT_MINFLT, STAT_MAJFLT = 12, STAT_UTIME = 14, STAT_STIME,
	STAT_CUTIME, STAT_CSTIME, STAT_PRIORITY, STAT_NICE, STAT_THREADS, STAT_START = 22, STAT_VSIZE, STAT_RSS, STAT_STACK = 28, STAT_PROCESSOR = 39,
	STAT_RT_PRIORITY, STAT_POLICY, STAT_END };

static uint64_t hundredths(uint64_t ticks)
{
	static long hz;

	if (!hz)
		hz = sysconf(_SC_CLK_TCK);
	return hz == 100 ? ticks : ticks * 100 / (uint64_t)hz;
}

static int numbers(const char *at, uint64_t v[STAT_END])
{
	for (unsigned i = STAT_PPID; i < STAT_END; i++) {
		bool minus = false;

		while (*at == ' ')
			at++;
		if (*at == '-') {
			minus = true;
			at++;
		}
		if (*at < '0' || *at > '9')
			return -EBADMSG;
		v[i] = 0;
		for (; *at >= '0' && *at <= '9'; at++)
			v[i] = v[i] * 10 + (uint64_t)(*at - '0');
		if (minus)
			v[i] = -v[i];
	}
	return 0;
}

int procs_parse_stat(const char *text, struct ssi_process *ret, uint64_t *ret_stack)
{
	const char *name = strchr(text, '('), *end = strrchr(text, ')');
	uint64_t v[STAT_END];
	size_t n;

	if (!name || !end || end < name || end[1] != ' ' || !end[2] || numbers(end + 3, v) < 0)
		return -EBADMSG;
	n = (size_t)(end - name - 1);
	n = n < sizeof(ret->comm) ? n : sizeof(ret->comm) - 1;
	memset(ret->comm, 0, sizeof(ret->comm));
	memcpy(ret->comm, name + 1, n);
	ret->state = end[2];
	ret->ppid = (uint32_t)v[STAT_PPID];
	ret->pgrp = (uint32_t)v[STAT_PGRP];
	ret->session = (uint32_t)v[STAT_SESSION];
	ret->tty = (uint32_t)v[STAT_TTY];
	ret->tpgid = (int32_t)v[STAT_TPGID];
	ret->flags = (uint32_t)v[STAT_FLAGS];
	ret->minflt = v[STAT_MINFLT];
	ret->majflt = v[STAT_MAJFLT];
	ret->utime = hundredths(v[STAT_UTIME]);
	ret->stime = hundredths(v[STAT_STIME]);
	ret->cutime = hundredths(v[STAT_CUTIME]);
	ret->cstime = hundredths(v[STAT_CSTIME]);
	ret->priority = (int32_t)v[STAT_PRIORITY];
	ret->nice = (int32_t)v[STAT_NICE];
	ret->threads = (uint32_t)v[STAT_THREADS];
	ret->start = hundredths(v[STAT_START]);
	ret->vsize = v[STAT_VSIZE] & ~(uint64_t)1023;
	ret->rss = v[STAT_RSS] * (uint64_t)sysconf(_SC_PAGESIZE);
	ret->processor = (uint32_t)v[STAT_PROCESSOR];
	ret->rt_priority = (uint32_t)v[STAT_RT_PRIORITY];
	ret->policy = (uint32_t)v[STAT_POLICY];
	*ret_stack = v[STAT_STACK];
	return 0;
}

static void ids(const char *at, uint32_t to[4])
{
	char *end;

	for (unsigned i = 0; i < 4; i++, at = end)
		to[i] = (uint32_t)strtoul(at, &end, 10);
}

/* "NSpid: OUTER INNER…": the second is the number one namespace below; 0: it is in none. */
static uint32_t job_pid(const char *at)
{
	char *end;
	unsigned long pid;

	strtoul(at, &end, 10);
	pid = strtoul(end, &end, 10);
	return pid < SSI_PID_END ? (uint32_t)pid : 0;
}

void procs_parse_status(const char *text, struct ssi_process *ret)
{
	uint64_t shared = 0;

	for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		const char *at = strpbrk(line, ":\n");
		size_t n = at && *at == ':' ? (size_t)(at - line) : 0;

#define IS(key) (n == sizeof(key) - 1 && memcmp(line, key, sizeof(key) - 1) == 0)
		if (IS("Uid"))
			ids(at + 1, ret->uid);
		else if (IS("Gid"))
			ids(at + 1, ret->gid);
		else if (IS("NSpid"))
			ret->job_pid = job_pid(at + 1);
		else if (IS("RssFile") || IS("RssShmem"))
			shared += strtoull(at + 1, NULL, 10) * 1024;
		else if (IS("VmData"))
			ret->data = strtoull(at + 1, NULL, 10) * 1024;
		else if (IS("VmSwap"))
			ret->swap = strtoull(at + 1, NULL, 10) * 1024;
		else if (IS("SigBlk"))
			ret->blocked = strtoull(at + 1, NULL, 16);
		else if (IS("SigIgn"))
			ret->ignored = strtoull(at + 1, NULL, 16);
		else if (IS("SigCgt"))
			ret->caught = strtoull(at + 1, NULL, 16);
#undef IS
	}
	ret->shared = shared;
}
