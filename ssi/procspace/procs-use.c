/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns which fields of a process are its use, for the node's side and the master's. */
#include "ssi/procspace/procs-use.h"

static const struct { size_t at; bool kib; } words[SSI_USES] = {
#define WORD(f, in_kib) { offsetof(struct ssi_process, f), in_kib }
	[SSI_USE_UTIME] = WORD(utime, false), [SSI_USE_STIME] = WORD(stime, false), [SSI_USE_RSS] = WORD(rss, true), [SSI_USE_MINFLT] = WORD(minflt, false),
	[SSI_USE_VSIZE] = WORD(vsize, true), [SSI_USE_MAJFLT] = WORD(majflt, false), [SSI_USE_CUTIME] = WORD(cutime, false),
	[SSI_USE_CSTIME] = WORD(cstime, false),
	[SSI_USE_SHARED] = WORD(shared, true), [SSI_USE_DATA] = WORD(data, true), [SSI_USE_SWAP] = WORD(swap, true),
#undef WORD
};

uint64_t ssi_procs_use_get(const struct ssi_process *p, enum ssi_procs_use what)
{
	uint64_t v;

	switch (what) {
	case SSI_USE_PROCESSOR:
		return p->processor;
	case SSI_USE_THREADS:
		return p->threads;
	case SSI_USE_STATE:
		return (unsigned char)p->state;
	default:
		v = *(const uint64_t *)((const char *)p + words[what].at);
		return words[what].kib ? v / 1024 : v;
	}
}

void ssi_procs_use_set(struct ssi_process *p, enum ssi_procs_use what, uint64_t value)
{
	switch (what) {
	case SSI_USE_PROCESSOR:
		p->processor = (uint32_t)value;
		break;
	case SSI_USE_THREADS:
		p->threads = (uint32_t)value;
		break;
	case SSI_USE_STATE:
		p->state = (char)value;
		break;
	default:
		*(uint64_t *)((char *)p + words[what].at) = words[what].kib ? value * 1024 : value;
	}
}
