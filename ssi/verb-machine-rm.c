/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "machine rm": forgets a machine that no node is bound to. */
#include "libssi/model/mac.h"
#include "ssi/ask.h"
#include "ssi/verbs.h"

int verb_machine_rm(struct ssi_cmd_args *a, int argc, char **argv)
{
	_cleanup_json_ json_t *answer = NULL;
	char mac[SSI_MAC_LEN];
	int r;

	if (ssi_mac_parse(argv[0], mac) < 0) {
		fprintf(stderr, "ssi: '%s' is no machine's address: like 52:54:00:12:34:56\n", argv[0]);
		return 2;
	}
	r = ask(a, "machine.rm", json_pack("{s:s}", "mac", mac), ASK_TIMEOUT_MS, &answer);
	if (r != 0)
		return r;
	if (ssi_cmd_json(a))
		return ask_print_json(json_object_get(answer, "data"));
	printf("%s: forgotten\n", mac);
	return 0;
}
