//! What the echo skill promises, tried without a broker.

use nova_echo::Echo;
use serde_json::json;

#[tokio::test]
async fn answers_with_what_it_is_asked() {
    for input in [json!(null), json!({"a": 1}), json!([1, "two", [3.5]])] {
        assert_eq!(nova_worker::test::run(&Echo, input.clone()).await, Ok(input));
    }
}
