/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A master's entries, merged into a node's: whatever it gave, no number of the system's own is added, and a second time changes nothing. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "libssi/base/cleanup.h"
#include "libssi/model/users.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char own[] = "root:x:0:0:root:/root:/bin/sh\nsshd:x:105:65534::/run/sshd:/bin/false\nann:x:1000:1000::/home/ann:/bin/sh\n";

static void twice(const char *master)
{
	_cleanup_buf_ struct ssi_buf once = SSI_BUF_INIT, again = SSI_BUF_INIT;
	unsigned dropped;

	if (ssi_users_merge(SSI_USERS_PASSWD, own, own, master, &once, &dropped) < 0)
		return;
	if (strncmp(once.data, own, strlen("root:x:0:0:root:/root:/bin/sh\nsshd:x:105:65534::/run/sshd:/bin/false\n")) != 0 ||
	    strstr(once.data + 1, "\nroot:"))
		abort();
	if (ssi_users_merge(SSI_USERS_PASSWD, once.data, own, master, &again, &dropped) == 0 && strcmp(once.data, again.data) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = strndup((const char *)data, size);
	_cleanup_buf_ struct ssi_buf given = SSI_BUF_INIT, merged = SSI_BUF_INIT;
	unsigned dropped;

	if (!text)
		return 0;
	twice(text);
	if (ssi_users_give(SSI_USERS_GROUP, text, &given) == 0)
		ssi_users_merge(SSI_USERS_GROUP, text, text, given.data ? given.data : "", &merged, &dropped);
	return 0;
}
