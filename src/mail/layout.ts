/**
 * One layout for all e-mails: tables and inline styles, because that is what mail programs understand; nothing is
 * loaded from anywhere. Values are escaped by the engine.
 */
export const HTML_LAYOUT = `<!doctype html>
<html lang="{{ locale }}" dir="{{ dir }}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light">
<title>{{ subject }}</title>
</head>
<body style="margin:0;padding:0;background:#f2f4f3;color:#1c2b26;font-family:'Segoe UI',Tahoma,Helvetica,Arial,sans-serif;font-size:16px;line-height:1.5">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="background:#f2f4f3">
<tr><td align="center" style="padding:32px 16px">
<table role="presentation" dir="{{ dir }}" width="100%" cellpadding="0" cellspacing="0" style="max-width:560px;background:#ffffff;border:1px solid #dfe5e2;border-radius:12px;text-align:{{ start }}">
<tr><td style="padding:32px 32px 8px">
{%- if salonName %}<p style="margin:0 0 8px;color:#55655f;font-size:14px">{{ salonName }}</p>{% endif %}
<h1 style="margin:0 0 16px;font-size:24px;line-height:1.3;color:#0b3d2e">{{ heading }}</h1>
{%- for paragraph in opening %}
<p style="margin:0 0 16px">{{ paragraph }}</p>
{%- endfor %}
</td></tr>
{%- if facts.length > 0 %}
<tr><td style="padding:0 32px 8px">
<table role="presentation" dir="{{ dir }}" width="100%" cellpadding="0" cellspacing="0" style="border-top:1px solid #dfe5e2">
{%- for fact in facts %}
<tr>
<td style="padding:10px 0;border-bottom:1px solid #dfe5e2;color:#55655f;width:120px;vertical-align:top">{{ fact[0] }}</td>
<td style="padding:10px 0;border-bottom:1px solid #dfe5e2;font-weight:600;vertical-align:top"><bdi>{{ fact[1] }}</bdi></td>
</tr>
{%- endfor %}
</table>
</td></tr>
{%- endif %}
{%- if action %}
<tr><td style="padding:16px 32px 8px"><a href="{{ action.url }}" style="display:inline-block;padding:12px 24px;border-radius:8px;background:#0b6e4f;color:#ffffff;font-weight:600;text-decoration:none">{{ action.label }}</a></td></tr>
{%- endif %}
<tr><td style="padding:16px 32px 24px">
{%- for paragraph in closing %}
<p style="margin:0 0 8px;color:#55655f;font-size:14px">{{ paragraph }}</p>
{%- endfor %}
</td></tr>
</table>
</td></tr>
</table>
</body>
</html>
`;

export const TEXT_LAYOUT = `{{ heading }}
{% for paragraph in opening %}
{{ paragraph }}
{% endfor -%}
{% if facts.length > 0 %}
{% for fact in facts -%}
{{ fact[0] }}: {{ fact[1] }}
{% endfor -%}
{% endif -%}
{% if action %}
{{ action.label }}:
{{ action.url }}
{% endif -%}
{% for paragraph in closing %}
{{ paragraph }}
{% endfor -%}
`;
