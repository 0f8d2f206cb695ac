//! Values of JSON as values of the language, and back.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use cel::common::types::{CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt};
use cel::common::value::{CowVal, Val};
use serde_json::{Map, Number, Value};

/// A value converted for the language once; cheap to clone.
#[derive(Clone)]
pub struct Bound(Arc<Box<dyn Val>>);

impl Bound {
    /// Converts a JSON value.
    #[must_use]
    pub fn new(value: &Value) -> Self {
        Self(Arc::new(to_val(value)))
    }

    /// The JSON value again.
    #[must_use]
    pub fn to_json(&self) -> Value {
        to_json(self.0.as_ref().as_ref()).expect("what came from JSON goes back to it")
    }

    /// The value, where it is.
    pub(super) fn borrow(&self) -> CowVal<'_, 'static> {
        CowVal::Borrowed(self.0.as_ref().as_ref())
    }
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bound").field(&self.to_json()).finish()
    }
}

fn to_val(value: &Value) -> Box<dyn Val> {
    match value {
        Value::Null => Box::new(CelNull),
        Value::Bool(yes) => Box::new(CelBool::from(*yes)),
        Value::Number(number) => number_to_val(number),
        Value::String(text) => Box::new(CelString::from(text.clone())),
        Value::Array(items) => Box::new(CelList::from(items.iter().map(to_val).collect::<Vec<_>>())),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| (CelMapKey::from(key.clone()), to_val(value)));
            Box::new(CelMap::from(fields.collect::<HashMap<_, _>>()))
        }
    }
}

/// Whole numbers are `int`, those too large for it `uint`, all others `double`.
fn number_to_val(number: &Number) -> Box<dyn Val> {
    if let Some(int) = number.as_i64() {
        Box::new(CelInt::from(int))
    } else if let Some(uint) = number.as_u64() {
        Box::new(CelUInt::from(uint))
    } else {
        Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::MAX)))
    }
}

/// A value of the language as JSON.
///
/// # Errors
/// What there is no JSON for, said for a person.
pub(super) fn to_json(value: &dyn Val) -> Result<Value, String> {
    if value.downcast_ref::<CelNull>().is_some() {
        Ok(Value::Null)
    } else if let Some(yes) = value.downcast_ref::<CelBool>() {
        Ok(Value::Bool(*yes.inner()))
    } else if let Some(int) = value.downcast_ref::<CelInt>() {
        Ok((*int.inner()).into())
    } else if let Some(uint) = value.downcast_ref::<CelUInt>() {
        Ok((*uint.inner()).into())
    } else if let Some(double) = value.downcast_ref::<CelDouble>() {
        let number = Number::from_f64(*double.inner());
        number.map(Value::Number).ok_or_else(|| format!("JSON has no number {}", double.inner()))
    } else if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        Ok(text.inner().into())
    } else if let Some(list) = value.downcast_ref::<CelList<'_>>() {
        list.inner().iter().map(|item| to_json(item.as_ref())).collect::<Result<_, _>>().map(Value::Array)
    } else if let Some(map) = value.downcast_ref::<CelMap<'_>>() {
        map_to_json(map)
    } else {
        Err(format!("JSON has no {}", value.get_type().name()))
    }
}

fn map_to_json(map: &CelMap<'_>) -> Result<Value, String> {
    let mut fields = Map::new();
    // Sorted, so that of several mistakes the same one is told each time.
    let mut entries: Vec<_> = map.inner().iter().collect();
    entries.sort_by_key(|(key, _)| *key);
    for (key, value) in entries {
        let key = match key {
            CelMapKey::String(text) => text.inner().to_owned(),
            CelMapKey::Int(int) => int.inner().to_string(),
            CelMapKey::UInt(uint) => uint.inner().to_string(),
            CelMapKey::Bool(yes) => yes.inner().to_string(),
        };
        if fields.contains_key(&key) {
            return Err(format!("two keys of the map come to the same text `{key}`"));
        }
        fields.insert(key, to_json(value.as_ref())?);
    }
    Ok(Value::Object(fields))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_comes_back_as_it_went_in() {
        for value in [
            json!(null),
            json!([true, false]),
            json!([0, -1, i64::MAX, i64::MIN, u64::MAX]),
            json!([0.5, 1.0, -0.0, 1e300]),
            json!({"a": {"b": [1, {"c": "ü\u{0}"}]}, "": []}),
        ] {
            assert_eq!(Bound::new(&value).to_json(), value);
        }
    }
}
