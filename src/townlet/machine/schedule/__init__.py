"""From a schedule's text to a plan that is proven sound: YAML, checks, forecast, schema, diagram."""
