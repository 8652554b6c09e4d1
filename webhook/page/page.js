// Keeps the page fresh: every few seconds it fetches itself and puts the new content in place of the old. Without it the
// page is complete; one reloads it.
"use strict";
(() => {
	const every = 5000;
	const fresh = document.getElementById("fresh");
	const live = () => document.getElementById("live");
	if (!live()) return;
	// What a button just did is told once: a reload should not tell it again.
	if (location.search) history.replaceState(null, "", location.pathname);

	const typing = () => {
		const at = document.activeElement;
		return at && live().contains(at) && at.tagName === "INPUT";
	};
	const typed = () => [...live().querySelectorAll("input[name=reason]")].some((input) => input.value);

	let failed = false;
	const say = (text) => { if (fresh.textContent !== text) fresh.textContent = text; };

	async function refresh() {
		if (document.hidden || typing() || typed()) return;
		try {
			const answer = await fetch(location.pathname, { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(every * 2) });
			if (!answer.ok) throw new Error(answer.status);
			const next = new DOMParser().parseFromString(await answer.text(), "text/html");
			const content = next.getElementById("live");
			if (!content || typing() || typed()) return;
			const focus = document.activeElement && live().contains(document.activeElement) ? document.activeElement : null;
			const place = focus ? [...live().querySelectorAll("a, button")].indexOf(focus) : -1;
			live().replaceWith(content);
			document.title = next.title;
			if (place >= 0) content.querySelectorAll("a, button")[place]?.focus({ preventScroll: true });
			failed = false;
			say("");
		} catch {
			if (!failed) say("The agent does not answer; what is shown may be old.");
			failed = true;
		}
	}

	(async function loop() {
		for (;;) {
			await new Promise((done) => setTimeout(done, every));
			await refresh();
		}
	})();
	document.addEventListener("visibilitychange", refresh);
})();
