// SPDX-License-Identifier: Apache-2.0

/// Runs the body with N private Redis servers, and removes them and their files when it is over, however it ends.
///
/// ```swift
/// try await withLocalRedis(nodes: 5) { redis in
///     let client = try RedlockClient(nodes: redis.urls)
///     try await redis[0].kill()
///     ...
/// }
/// ```
/// - Throws: what the body throws, or `LocalRedisError` if the servers cannot be started.
public func withLocalRedis<Result>(
    nodes count: Int,
    options: LocalRedisOptions = LocalRedisOptions(),
    isolation: isolated (any Actor)? = #isolation,
    _ body: (LocalRedisSet) async throws -> Result
) async throws -> Result {
    let set = try await LocalRedisSet.start(nodes: count, options: options)
    let result: Result
    do {
        result = try await body(set)
    } catch {
        try? await set.remove()
        throw error
    }
    try await set.remove()
    return result
}
