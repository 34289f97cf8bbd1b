/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "machine rm": forgets a machine that no node is bound to. */
#include "ssi/ask.h"
#include "ssi/machine.h"
#include "ssi/verbs.h"

int verb_machine_rm(struct ssi_cmd_args *a, int argc, char **argv)
{
	_cleanup_json_ json_t *answer = NULL;
	char mac[SSI_MAC_LEN];
	int r = machine_ask(a, "machine.rm", argv[0], mac, &answer);

	if (r != 0)
		return r;
	if (ssi_cmd_json(a))
		return ask_print_json(json_object_get(answer, "data"));
	printf("%s: forgotten\n", mac);
	return 0;
}
