/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The names of signals. Used by verbs that send them. Real-time signals go by number alone. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <strings.h>
#include "libssi/base/num.h"
#include "libssi/base/signals.h"

int ssi_signal_number(const char *name)
{
	uint32_t number;

	if (ssi_num_u32(name, 0, NSIG - 1, &number) == 0)
		return (int)number;
	if (strncasecmp(name, "SIG", 3) == 0)
		name += 3;
	for (int i = 1; i < SIGRTMIN; i++)
		if (sigabbrev_np(i) && strcasecmp(sigabbrev_np(i), name) == 0)
			return i;
	return -EINVAL;
}
