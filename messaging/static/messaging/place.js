// A moment, or a message -> the position from which a stream shows it; the server knows.

/** `address`: {channels, from, around} -> {position}, or {error} in words. */
export async function findPlace(url, { channels, from, around }) {
  const query = new URLSearchParams(channels.map((name) => ["channel", name]));
  if (around) query.append("at", around);
  else query.append("ms", Math.max(0, from));
  try {
    const response = await fetch(`${url}?${query}`, { headers: { Accept: "application/json" } });
    const answer = await response.json();
    return response.ok ? answer : { error: answer.error };
  } catch {
    return { error: "The server could not be asked for this place in the log." };
  }
}
