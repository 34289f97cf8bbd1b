/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "machine accept": a machine that has failed, or waits for a decision, is a spare from now on. */
#include "libssi/comm/json.h"
#include "ssi/ask.h"
#include "ssi/machine.h"
#include "ssi/verbs.h"

int verb_machine_accept(struct ssi_cmd_args *a, int argc, char **argv)
{
	_cleanup_json_ json_t *answer = NULL;
	char mac[SSI_MAC_LEN];
	int r = machine_ask(a, "machine.accept", argv[0], mac, &answer);

	if (r != 0)
		return r;
	if (ssi_cmd_json(a))
		return ask_print_json(json_object_get(answer, "data"));
	printf("%s: %s\n", mac, json_is_true(json_object_get(json_object_get(answer, "data"), "changed")) ? "a spare from now on" : "was a spare already");
	return 0;
}
